output "deploy_toml" {
  description = "The section for deploy.toml."
  value       = <<-EOT
    [gcp]
    project = "${var.project}"
    region = "${var.region}"
    bucket = "${google_storage_bucket.models.name}"
    service_account = "${google_service_account.serving.email}"
    scheduler_account = "${google_service_account.scheduler.email}"
  EOT
}

output "deployer" {
  description = "Whom to act as for the verbs: gcloud auth application-default login --impersonate-service-account=…"
  value       = google_service_account.deployer.email
}

output "invoker" {
  description = "Whom a program acts as that asks for predictions."
  value       = google_service_account.invoker.email
}
