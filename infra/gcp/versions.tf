terraform {
  required_version = ">= 1.5"

  # Where it is, `make infra` says: a file for each project.
  backend "local" {}

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 6.0, < 8.0"
    }
  }
}

provider "google" {
  project = var.project
  region  = var.region

  # What the project is billed for a budget is asked of this project, too.
  billing_project       = var.project
  user_project_override = true

  default_labels = {
    slipway = "infra"
  }
}
