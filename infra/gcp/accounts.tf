# Who does what. None of them has a key: a person acts as one of them, and the cloud runs as the others.
resource "google_service_account" "deployer" {
  account_id   = "slipway-deployer"
  display_name = "Slipway: runs the verbs"
}

resource "google_service_account" "invoker" {
  account_id   = "slipway-invoker"
  display_name = "Slipway: asks for predictions"
}

resource "google_service_account" "serving" {
  account_id   = "slipway-serving"
  display_name = "Slipway: what containers of endpoints and jobs run as"
}

resource "google_service_account" "builder" {
  account_id   = "slipway-builder"
  display_name = "Slipway: builds the serving image"
}

resource "google_service_account" "scheduler" {
  account_id   = "slipway-scheduler"
  display_name = "Slipway: takes a deployment off when its time is over"
}

# Credentials of a few hours in the place of a key.
resource "google_service_account_iam_member" "acts_as_deployer" {
  for_each = toset(var.deployers)

  service_account_id = google_service_account.deployer.name
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = each.value
}

resource "google_service_account_iam_member" "acts_as_invoker" {
  for_each = toset(var.invokers)

  service_account_id = google_service_account.invoker.name
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = each.value
}
