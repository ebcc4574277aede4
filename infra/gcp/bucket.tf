resource "google_storage_bucket" "models" {
  name     = var.bucket
  location = var.region

  # Rights are IAM's alone, and nobody can make an object public. Cloud Storage encrypts and speaks TLS by itself.
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  versioning {
    enabled = true
  }

  # What was overwritten or deleted is kept for a month.
  lifecycle_rule {
    condition {
      days_since_noncurrent_time = 30
    }
    action {
      type = "Delete"
    }
  }

  # Uploads that were cut off are billed, and no listing shows them.
  lifecycle_rule {
    condition {
      age = 7
    }
    action {
      type = "AbortIncompleteMultipartUpload"
    }
  }

  # What image builds were sent.
  lifecycle_rule {
    condition {
      age            = 7
      matches_prefix = ["_builds/"]
    }
    action {
      type = "Delete"
    }
  }

  depends_on = [google_project_service.needed]
}
