# A bucket and the policies of who uses it, nothing else.

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

module "archive" {
  source = "../.."

  name        = "shop-archive"
  bucket_name = "example-shop-archive"
}

output "archive_url" {
  value = module.archive.archive_url
}

output "writer_policy_arns" {
  value = module.archive.writer_policy_arns
}
