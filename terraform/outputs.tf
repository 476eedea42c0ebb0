output "archive_url" {
  description = "What `nodedb serve --archive` and `pitr-restore --archive` take."
  value       = local.archive_url

  precondition {
    condition     = var.cooling.deep_after_days == null || length(var.nodes) > 0
    error_message = "deep_after_days needs nodes: without them one rule would also put into Deep Archive what every start and plan reads."
  }

  precondition {
    condition     = var.create_bucket || var.object_lock == null
    error_message = "object_lock is for a bucket that is created here. Lock an existing bucket where it is made, and leave object_lock null."
  }

  precondition {
    condition     = var.create_bucket || !local.kms || var.kms_key_arn != null
    error_message = "Give kms_key_arn, the key that the existing bucket encrypts with, or encryption = \"sse-s3\" if it does without."
  }
}

output "bucket_arn" {
  description = "ARN of the bucket."
  value       = "arn:${local.place.partition}:s3:::${var.bucket_name}"
}

output "kms_key_arn" {
  description = "The key that the bucket encrypts with, or null."
  value       = local.kms_key_arn
}

output "writer_policy_arns" {
  description = "ARNs of the writer policies by node id, or by * where no nodes are given."
  value       = try(module.policies[0].writer_arns, {})
}

output "reader_policy_arn" {
  description = "ARN of the policy for restores."
  value       = try(module.policies[0].reader_arn, null)
}

output "pruner_policy_arn" {
  description = "ARN of the policy for whoever prunes."
  value       = try(module.policies[0].pruner_arn, null)
}
