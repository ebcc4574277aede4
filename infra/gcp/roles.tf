# Custom roles: predefined ones hold hundreds of permissions. Each list is compared with the verbs' calls by a test.

resource "google_project_iam_custom_role" "deployer" {
  role_id     = "slipwayDeployer"
  title       = "Slipway deployer"
  description = "What the verbs ask of Vertex AI, Cloud Scheduler, Cloud Logging and the list of buckets."

  # Vertex AI takes no condition on the names of models, endpoints and jobs, so these hold for the whole project.
  permissions = [
    "aiplatform.batchPredictionJobs.cancel",
    "aiplatform.batchPredictionJobs.create",
    "aiplatform.batchPredictionJobs.get",
    "aiplatform.batchPredictionJobs.list",
    "aiplatform.customJobs.cancel",
    "aiplatform.customJobs.create",
    "aiplatform.customJobs.get",
    "aiplatform.customJobs.list",
    "aiplatform.endpoints.create",
    "aiplatform.endpoints.delete",
    "aiplatform.endpoints.deploy",
    "aiplatform.endpoints.get",
    "aiplatform.endpoints.list",
    "aiplatform.endpoints.predict",
    "aiplatform.endpoints.undeploy",
    "aiplatform.endpoints.update",
    "aiplatform.models.delete",
    "aiplatform.models.get",
    "aiplatform.models.list",
    "aiplatform.models.update",
    "aiplatform.models.upload",
    "aiplatform.operations.list",
    "cloudscheduler.jobs.create",
    "cloudscheduler.jobs.delete",
    "cloudscheduler.jobs.get",
    "cloudscheduler.jobs.update",
    "logging.logEntries.list",
    "storage.buckets.list", # whose a bucket is, only the list of the project's own tells
  ]
}

resource "google_project_iam_custom_role" "deployer_objects" {
  role_id     = "slipwayDeployerObjects"
  title       = "Slipway deployer: objects"
  description = "What the verbs do with the objects of the one bucket."

  permissions = [
    "storage.buckets.get",
    "storage.objects.create",
    "storage.objects.delete",
    "storage.objects.get",
    "storage.objects.list",
  ]
}

resource "google_project_iam_custom_role" "invoker" {
  role_id     = "slipwayInvoker"
  title       = "Slipway invoker"
  description = "Predictions, and nothing else. Vertex AI takes no condition on an endpoint's name."

  permissions = [
    "aiplatform.endpoints.predict",
  ]
}

resource "google_project_iam_custom_role" "scheduler" {
  role_id     = "slipwayScheduler"
  title       = "Slipway scheduler"
  description = "Takes a model off its endpoint. Vertex AI takes no condition on an endpoint's name."

  permissions = [
    "aiplatform.endpoints.undeploy",
  ]
}

resource "google_project_iam_custom_role" "serving_objects" {
  role_id     = "slipwayServingObjects"
  title       = "Slipway serving: objects"
  description = "What containers do in the one bucket: models and inputs are read, a job's results written."

  permissions = [
    "storage.objects.create",
    "storage.objects.delete", # a job's container writes its results and checkpoints anew
    "storage.objects.get",
    "storage.objects.list",
  ]
}

resource "google_project_iam_custom_role" "act_as" {
  role_id     = "slipwayActAs"
  title       = "Slipway: act as"
  description = "Lets the deployer hand a container, or a build, the one account that it runs as."

  permissions = [
    "iam.serviceAccounts.actAs",
  ]
}
