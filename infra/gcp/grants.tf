# Who has which role, each on the smallest thing that takes it.
resource "google_project_iam_member" "deployer" {
  project = var.project
  role    = google_project_iam_custom_role.deployer.id
  member  = google_service_account.deployer.member
}

resource "google_project_iam_member" "invoker" {
  project = var.project
  role    = google_project_iam_custom_role.invoker.id
  member  = google_service_account.invoker.member
}

resource "google_project_iam_member" "scheduler" {
  project = var.project
  role    = google_project_iam_custom_role.scheduler.id
  member  = google_service_account.scheduler.member
}

resource "google_storage_bucket_iam_member" "deployer" {
  bucket = google_storage_bucket.models.name
  role   = google_project_iam_custom_role.deployer_objects.id
  member = google_service_account.deployer.member
}

resource "google_storage_bucket_iam_member" "serving" {
  bucket = google_storage_bucket.models.name
  role   = google_project_iam_custom_role.serving_objects.id
  member = google_service_account.serving.member
}

resource "google_service_account_iam_member" "deployer_hands_out_serving" {
  service_account_id = google_service_account.serving.name
  role               = google_project_iam_custom_role.act_as.id
  member             = google_service_account.deployer.member
}

resource "google_service_account_iam_member" "deployer_hands_out_scheduler" {
  service_account_id = google_service_account.scheduler.name
  role               = google_project_iam_custom_role.act_as.id
  member             = google_service_account.deployer.member
}
