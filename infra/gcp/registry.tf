resource "google_artifact_registry_repository" "slipway" {
  repository_id = "slipway"
  location      = var.region # Vertex AI takes images of the model's own region alone
  format        = "DOCKER"
  description   = "The serving image: a tag is the digest of what went in."

  docker_config {
    immutable_tags = true
  }

  # A version that is kept for rollback needs its image: only what has no tag goes.
  cleanup_policies {
    id     = "untagged"
    action = "DELETE"
    condition {
      tag_state  = "UNTAGGED"
      older_than = "2592000s" # 30 days
    }
  }

  depends_on = [google_project_service.needed]
}
