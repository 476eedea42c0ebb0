# Everything: two nodes, a lock, cold classes, functions, alarms by mail, queries, and
# a role for each node, for restores and for pruning.

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

data "aws_caller_identity" "this" {}

locals {
  nodes = ["shop", "till"]
}

module "archive" {
  source = "../.."

  name        = "shop-archive"
  bucket_name = "example-shop-archive-complete"
  prefix      = "prod"
  nodes       = local.nodes

  object_lock     = { mode = "GOVERNANCE", days = 35 }
  noncurrent_days = 60
  deleters        = ["arn:aws:iam::${data.aws_caller_identity.this.account_id}:role/shop-archive-prune"]
  cooling         = { instant_after_days = 30, deep_after_days = 180, kinds = ["pack", "obj"] }

  packages = { for name in ["index", "sweep", "compact"] : name => lookup(var.packages, name, null) }
  compact  = { delete = true }

  create_queue = true

  alarms = { emails = ["ops@example.com"], lag_seconds = 1800 }

  create_query = true
  query        = { timelines = [1] }

  tags = { system = "shop" }
}

# Who runs the nodes here: EC2 instances. Use your own trust for containers or others.
resource "aws_iam_role" "node" {
  for_each = toset(local.nodes)
  name     = "shop-node-${each.key}"

  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Principal = { Service = "ec2.amazonaws.com" }, Action = "sts:AssumeRole" }]
  })
}

resource "aws_iam_role_policy_attachment" "node" {
  for_each   = aws_iam_role.node
  role       = each.value.name
  policy_arn = module.archive.writer_policy_arns[each.key]
}

resource "aws_iam_instance_profile" "node" {
  for_each = aws_iam_role.node
  name     = each.value.name
  role     = each.value.name
}

# People of this account, who take these roles when they need them.
resource "aws_iam_role" "person" {
  for_each = toset(["restore", "prune"])
  name     = "shop-archive-${each.key}"

  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Principal = { AWS = data.aws_caller_identity.this.account_id }, Action = "sts:AssumeRole", Condition = { Bool = { "aws:MultiFactorAuthPresent" = "true" } } }]
  })
}

resource "aws_iam_role_policy_attachment" "person" {
  for_each   = { restore = module.archive.reader_policy_arn, prune = module.archive.pruner_policy_arn }
  role       = aws_iam_role.person[each.key].name
  policy_arn = each.value
}

output "archive_url" {
  value = module.archive.archive_url
}

output "athena_workgroup" {
  value = module.archive.athena_workgroup
}

output "dashboard_name" {
  value = module.archive.dashboard_name
}
