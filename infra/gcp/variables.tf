variable "project" {
  description = "The project's ID, as [gcp] project in deploy.toml."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "project must be a project's ID: 6 to 30 of a-z, 0-9 and '-'."
  }
}

variable "region" {
  description = "The region of endpoints, bucket and registry, as [gcp] region in deploy.toml."
  type        = string

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region must be a region such as us-central1."
  }
}

variable "bucket" {
  description = "The bucket of models and jobs, as [gcp] bucket in deploy.toml."
  type        = string
}

variable "deployers" {
  description = "Who may act as the deployer, such as [\"group:ml@example.com\"]."
  type        = list(string)
  default     = []
}

variable "invokers" {
  description = "Who may act as the invoker, such as [\"serviceAccount:shop@my-project.iam.gserviceaccount.com\"]."
  type        = list(string)
  default     = []
}

variable "billing_account" {
  description = "The billing account of the budget, such as 000000-000000-000000; without it there is none."
  type        = string
  default     = ""
}

variable "monthly_budget" {
  description = "What a month may cost, in whole units of the billing account's currency, before its administrators are mailed."
  type        = number
  default     = 100
}
