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

  precondition {
    condition     = local.queue_created || !contains(keys(local.functions), "index")
    error_message = "The index function needs the queue: leave create_queue null, or give no package for it."
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

output "bucket_policy_json" {
  description = "The policy that the bucket has, or should have if it is not created here."
  value       = module.guard.json
}

output "queue_url" {
  description = "URL of the queue of new segments, or null."
  value       = try(module.queue[0].url, null)
}

output "queue_arn" {
  description = "ARN of the queue of new segments, or null."
  value       = try(module.queue[0].arn, null)
}

output "dead_queue_url" {
  description = "URL of the queue of what could not be handled, or null."
  value       = try(module.queue[0].dead_url, null)
}

output "notification_filters" {
  description = "What the bucket's notification of the queue selects, for who sets it elsewhere (create_notification = false)."
  value       = try(module.queue[0].filters, {})
}

output "function_names" {
  description = "Names of the functions by what they do."
  value       = try(module.functions[0].names, {})
}

output "alarm_names" {
  description = "Names of all alarms."
  value       = try(module.observability[0].alarm_names, [])
}

output "alarm_topic_arn" {
  description = "The topic that was created for the addresses, or null."
  value       = try(module.observability[0].topic_arn, null)
}

output "dashboard_name" {
  description = "Name of the dashboard, or null."
  value       = try(module.observability[0].dashboard_name, null)
}

output "athena_workgroup" {
  description = "Workgroup for queries of the index, or null."
  value       = try(module.query[0].workgroup, null)
}

output "glue_database" {
  description = "Database with the table records, or null."
  value       = try(module.query[0].database, null)
}

output "results_bucket" {
  description = "Bucket of the results of queries, or null."
  value       = try(module.query[0].results_bucket, null)
}

output "analyst_policy_arn" {
  description = "ARN of the policy of who queries the index, or null."
  value       = try(module.query[0].analyst_arn, null)
}
