# The serving image is built in the cloud where the deployer has no tool for it: Cloud Build, as its own account.
resource "google_artifact_registry_repository_iam_member" "builder" {
  location   = google_artifact_registry_repository.slipway.location
  repository = google_artifact_registry_repository.slipway.name
  role       = "roles/artifactregistry.writer" # of this one repository
  member     = google_service_account.builder.member
}

resource "google_artifact_registry_repository_iam_member" "deployer" {
  location   = google_artifact_registry_repository.slipway.location
  repository = google_artifact_registry_repository.slipway.name
  role       = "roles/artifactregistry.writer" # pushes what it built itself, and looks which tags there are
  member     = google_service_account.deployer.member
}

resource "google_project_iam_member" "builder_logs" {
  project = var.project
  role    = "roles/logging.logWriter"
  member  = google_service_account.builder.member
}

resource "google_storage_bucket_iam_member" "builder" {
  bucket = google_storage_bucket.models.name
  role   = "roles/storage.objectViewer" # of this one bucket, where the build's context is
  member = google_service_account.builder.member
}

resource "google_project_iam_custom_role" "build" {
  role_id     = "slipwayBuild"
  title       = "Slipway deployer: builds"
  description = "Starts a build, finds one that runs, follows it and stops it."

  permissions = [
    "cloudbuild.builds.create",
    "cloudbuild.builds.get",
    "cloudbuild.builds.list",
    "cloudbuild.builds.update",
  ]
}

resource "google_project_iam_member" "deployer_builds" {
  project = var.project
  role    = google_project_iam_custom_role.build.id
  member  = google_service_account.deployer.member
}

resource "google_service_account_iam_member" "deployer_hands_out_builder" {
  service_account_id = google_service_account.builder.name
  role               = google_project_iam_custom_role.act_as.id
  member             = google_service_account.deployer.member
}
