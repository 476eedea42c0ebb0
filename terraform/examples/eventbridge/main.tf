# Events through EventBridge: others can have rules on the same bucket, and the rule
# selects segments exactly, of any number of nodes.

terraform {
  required_version = ">= 1.7"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.0"
    }
  }
}

provider "aws" {
  region = "eu-central-1"
}

# Paths of the functions' packages, for example
#   terraform apply -var 'packages={index="../../../dist/lambda/index-arm64.zip"}'
# Without them there are no functions yet; the queue keeps events for 14 days.
variable "packages" {
  type    = map(string)
  default = {}
}

module "archive" {
  source = "../.."

  name         = "shop-archive"
  bucket_name  = "example-shop-archive-eventbridge"
  encryption   = "sse-s3"
  create_queue = true
  event_source = "eventbridge"
  packages     = { for name in ["index", "sweep", "compact"] : name => lookup(var.packages, name, null) }
}

output "archive_url" {
  value = module.archive.archive_url
}
