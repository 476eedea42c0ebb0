variable "create" {
  description = "Whether anything is created at all."
  type        = bool
  default     = true
}

variable "name" {
  description = "Name of the archive. Everything but the bucket is named after it."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,30}[a-z0-9]$", var.name))
    error_message = "The name must be 3 to 32 lower-case letters, digits and dashes, begin with a letter and not end with a dash, for example \"shop-archive\"."
  }
}

variable "tags" {
  description = "Tags of all that is created."
  type        = map(string)
  default     = {}
}

# The bucket.

variable "create_bucket" {
  description = "Whether the bucket is created. If not, the bucket named by bucket_name is used and left as it is; the output bucket_policy_json is what its policy should have."
  type        = bool
  default     = true
}

variable "bucket_name" {
  description = "Name of the bucket, in all of AWS unique."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.bucket_name))
    error_message = "The bucket's name must be 3 to 63 lower-case letters, digits and dashes, and begin and end with a letter or digit. Dots are refused: they break certificates."
  }
}

variable "prefix" {
  description = "What the archive's names begin with, without slashes at the ends; empty for the whole bucket."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^$|^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*$", var.prefix))
    error_message = "The prefix must be words of letters, digits, dots, dashes and underscores with single slashes between, for example \"prod/db\"; no slash at the beginning or the end."
  }
}

variable "nodes" {
  description = "Ids of the nodes. With them each node has a writer policy of its own, cooling tells kinds of objects apart, and the index can be queried over all nodes. Empty: one policy, one rule, one node in each query."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for node in var.nodes : can(regex("^[a-z0-9][a-z0-9._-]{0,62}$", node))])
    error_message = "A node's id is 1 to 63 lower-case letters, digits, dots, dashes and underscores, and begins with a letter or digit."
  }
}

variable "encryption" {
  description = "sse-kms (a key of your own) or sse-s3 (Amazon's)."
  type        = string
  default     = "sse-kms"

  validation {
    condition     = contains(["sse-kms", "sse-s3"], var.encryption)
    error_message = "Encryption must be \"sse-kms\" or \"sse-s3\"."
  }
}

variable "kms_key_arn" {
  description = "The key for sse-kms. Null: one is created, if the bucket is."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/", var.kms_key_arn))
    error_message = "Give the ARN of the key itself, arn:aws:kms:REGION:ACCOUNT:key/ID. Policies do not follow aliases."
  }
}

variable "object_lock" {
  description = "Retention of every object from its creation on: mode GOVERNANCE or COMPLIANCE, and days. Null: no lock. Only for a bucket that is created here."
  type = object({
    mode               = optional(string, "GOVERNANCE")
    days               = number
    accept_undeletable = optional(bool, false)
  })
  default = null

  validation {
    condition     = var.object_lock == null || try(contains(["GOVERNANCE", "COMPLIANCE"], var.object_lock.mode), false)
    error_message = "The mode of the lock must be \"GOVERNANCE\" or \"COMPLIANCE\"."
  }

  validation {
    condition     = var.object_lock == null || try(var.object_lock.days >= 1 && var.object_lock.days <= 36500 && floor(var.object_lock.days) == var.object_lock.days, false)
    error_message = "The lock must be for 1 to 36,500 whole days."
  }

  validation {
    condition     = try(var.object_lock.mode, "") != "COMPLIANCE" || try(var.object_lock.accept_undeletable, false)
    error_message = "Under COMPLIANCE nobody can delete an object before its time, root and Amazon included, and you pay until then. Set accept_undeletable = true if that is what you want; GOVERNANCE can be lifted by whoever has s3:BypassGovernanceRetention."
  }
}

variable "deleters" {
  description = "ARNs of principals (with * and ?) that alone may delete from the archive, whatever else is granted to others. Empty: whoever has a grant. A compact function that may delete is added. Lifecycle rules are not concerned."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.deleters : can(regex("^arn:[a-z-]+:(iam|sts)::", arn))])
    error_message = "Deleters are ARNs of roles or users, for example arn:aws:iam::123456789012:role/pruner."
  }
}

variable "cooling" {
  description = "After how many days objects go to Glacier Instant Retrieval and to Deep Archive (null: never), which kinds of them (of wal, pack, obj; only where nodes are given), and from how many bytes on."
  type = object({
    instant_after_days = optional(number)
    deep_after_days    = optional(number)
    kinds              = optional(set(string), ["wal", "pack", "obj"])
    min_bytes          = optional(number, 131072)
  })
  default = {}

  validation {
    condition     = length(var.cooling.kinds) > 0 && length(setsubtract(var.cooling.kinds, ["wal", "pack", "obj"])) == 0
    error_message = "Kinds that cool are \"wal\", \"pack\" and \"obj\". All others are small and are read at each start and plan."
  }

  validation {
    condition     = var.cooling.min_bytes >= 131072
    error_message = "Smaller objects than 131072 bytes cost more in cold classes than in the standard one. Merge them first (nodedb archive compact)."
  }

  validation {
    condition     = alltrue([for days in [var.cooling.instant_after_days, var.cooling.deep_after_days] : days == null || try(days >= 1 && floor(days) == days, false)])
    error_message = "Days are whole numbers from 1 on, or null."
  }

  validation {
    condition     = var.cooling.instant_after_days == null || var.cooling.deep_after_days == null || try(var.cooling.deep_after_days - var.cooling.instant_after_days >= 90, false)
    error_message = "Glacier Instant Retrieval charges at least 90 days: deep_after_days must be at least instant_after_days + 90."
  }
}

variable "noncurrent_days" {
  description = "Days for which a deleted object can be taken back."
  type        = number
  default     = 30

  validation {
    condition     = var.noncurrent_days >= 1 && floor(var.noncurrent_days) == var.noncurrent_days
    error_message = "noncurrent_days must be a whole number from 1 on."
  }
}

variable "abort_multipart_days" {
  description = "Days after which the parts of an upload that never ended are removed."
  type        = number
  default     = 7

  validation {
    condition     = var.abort_multipart_days >= 1 && floor(var.abort_multipart_days) == var.abort_multipart_days
    error_message = "abort_multipart_days must be a whole number from 1 on."
  }
}

# Who may do what.

variable "create_policies" {
  description = "Whether the policies of writers, readers and pruners are created."
  type        = bool
  default     = true
}

variable "reader_may_thaw" {
  description = "Whether readers may bring objects back from cold storage, which costs money."
  type        = bool
  default     = true
}

# New segments, and the functions.

variable "create_queue" {
  description = "Whether there is a queue of new segments, with one for what could not be handled. Null: if there is an index function."
  type        = bool
  default     = null
}

variable "event_source" {
  description = "What fills the queue: s3 (the bucket's notification), eventbridge (rules beside others', for buckets whose notification is taken), or none."
  type        = string
  default     = "s3"

  validation {
    condition     = contains(["s3", "eventbridge", "none"], var.event_source)
    error_message = "The event source must be \"s3\", \"eventbridge\" or \"none\"."
  }
}

variable "create_notification" {
  description = "Whether the bucket's notification is set here. A bucket has one, and setting it replaces all of it: false if others notify from this bucket. Then add what the output notification_filters says where it is set, or use eventbridge."
  type        = bool
  default     = true
}

variable "queue" {
  description = "After how many attempts a message is dead, and for how long it waits at most."
  type = object({
    max_receives      = optional(number, 5)
    retention_seconds = optional(number, 1209600)
  })
  default = {}

  validation {
    condition     = var.queue.max_receives >= 2 && var.queue.max_receives <= 1000
    error_message = "max_receives must be 2 to 1000: stores are at times not there, so one attempt is too few."
  }

  validation {
    condition     = var.queue.retention_seconds >= 3600 && var.queue.retention_seconds <= 1209600
    error_message = "retention_seconds must be 3600 (an hour) to 1209600 (14 days)."
  }
}

variable "create_functions" {
  description = "Whether functions are created, of those that packages names."
  type        = bool
  default     = true
}

variable "packages" {
  description = "Paths of the zip files of the functions index, sweep and compact. One without a path is not created."
  type = object({
    index   = optional(string)
    sweep   = optional(string)
    compact = optional(string)
  })
  default = {}

  validation {
    condition     = alltrue([for path in [var.packages.index, var.packages.sweep, var.packages.compact] : path == null || try(fileexists(path), false)])
    error_message = "There is no such package. Build them first, and give paths as Terraform sees them, for example \"$${path.root}/dist/lambda/index-arm64.zip\"."
  }
}

variable "architecture" {
  description = "What the packages are built for: arm64 or x86_64."
  type        = string
  default     = "arm64"

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "The architecture must be \"arm64\" or \"x86_64\" (amd64 in Go)."
  }
}

variable "index" {
  description = "Size of the index function, and how it takes messages: how many at once, how long it collects them, how many run beside each other."
  type = object({
    timeout_seconds      = optional(number, 60)
    memory_mb            = optional(number, 512)
    batch_size           = optional(number, 10)
    batch_window_seconds = optional(number, 5)
    concurrency          = optional(number, 10)
  })
  default = {}

  validation {
    condition     = var.index.timeout_seconds >= 1 && var.index.timeout_seconds <= 900
    error_message = "A function runs for 1 to 900 seconds."
  }

  validation {
    condition     = var.index.batch_size >= 1 && (var.index.batch_size <= 10 || (var.index.batch_window_seconds >= 1 && var.index.batch_size <= 10000))
    error_message = "batch_size must be 1 to 10, or up to 10000 with a batch_window_seconds of 1 or more."
  }

  validation {
    condition     = var.index.concurrency >= 2 && var.index.concurrency <= 1000
    error_message = "concurrency must be 2 to 1000."
  }
}

variable "sweep" {
  description = "Size and schedule of the sweep function; an empty schedule is none."
  type = object({
    timeout_seconds = optional(number, 900)
    memory_mb       = optional(number, 512)
    schedule        = optional(string, "rate(15 minutes)")
  })
  default = {}

  validation {
    condition     = var.sweep.schedule == "" || can(regex("^(rate|cron)\\(.+\\)$", var.sweep.schedule))
    error_message = "The schedule must be like \"rate(15 minutes)\" or \"cron(0 3 * * ? *)\", or empty."
  }

  validation {
    condition     = var.sweep.timeout_seconds >= 1 && var.sweep.timeout_seconds <= 900
    error_message = "A function runs for 1 to 900 seconds."
  }
}

variable "compact" {
  description = "Size and schedule of the compact function (empty: none), and whether it deletes the segments that it merged."
  type = object({
    timeout_seconds = optional(number, 900)
    memory_mb       = optional(number, 1024)
    schedule        = optional(string, "cron(30 2 * * ? *)")
    delete          = optional(bool, false)
  })
  default = {}

  validation {
    condition     = var.compact.schedule == "" || can(regex("^(rate|cron)\\(.+\\)$", var.compact.schedule))
    error_message = "The schedule must be like \"rate(1 day)\" or \"cron(30 2 * * ? *)\", or empty."
  }

  validation {
    condition     = var.compact.timeout_seconds >= 1 && var.compact.timeout_seconds <= 900
    error_message = "A function runs for 1 to 900 seconds."
  }
}

variable "temporary_mb" {
  description = "Temporary disk of sweep and compact."
  type        = number
  default     = 2048

  validation {
    condition     = var.temporary_mb >= 512 && var.temporary_mb <= 10240
    error_message = "temporary_mb must be 512 to 10240."
  }
}

variable "environment" {
  description = "More environment variables of the functions, by function."
  type        = map(map(string))
  default     = {}

  validation {
    condition     = length(setsubtract(keys(var.environment), ["index", "sweep", "compact"])) == 0
    error_message = "Functions are \"index\", \"sweep\" and \"compact\"."
  }
}

variable "layers" {
  description = "ARNs of layers of the functions, by function: a file in one is below /opt, an identity file for example."
  type        = map(list(string))
  default     = {}

  validation {
    condition     = length(setsubtract(keys(var.layers), ["index", "sweep", "compact"])) == 0
    error_message = "Functions are \"index\", \"sweep\" and \"compact\"."
  }
}

variable "identity_kms_key_arn" {
  description = "The key that unwraps the identity with which functions read encrypted segments. Null: they read none."
  type        = string
  default     = null
}

variable "log_retention_days" {
  description = "Days for which the functions' logs are kept."
  type        = number
  default     = 30

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "CloudWatch keeps logs for 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653 days."
  }
}

# What watches.

variable "create_alarms" {
  description = "Whether there are alarms and a dashboard."
  type        = bool
  default     = true
}

variable "alarms" {
  description = "Where alarms go (topics, addresses), and from where on: seconds a message waits, seconds the window's end is behind (0: no alarm, for nodes that may write nothing for long), segments without an index, and the period over which the sweep is looked at."
  type = object({
    topic_arns           = optional(list(string), [])
    emails               = optional(set(string), [])
    queue_age_seconds    = optional(number, 900)
    lag_seconds          = optional(number, 3600)
    unindexed            = optional(number, 0)
    sweep_period_seconds = optional(number, 1800)
  })
  default = {}

  validation {
    condition     = var.alarms.sweep_period_seconds >= 60 && var.alarms.sweep_period_seconds % 60 == 0 && var.alarms.sweep_period_seconds <= 43200
    error_message = "sweep_period_seconds must be a multiple of 60, at most 43200: two such periods are one day at most."
  }

  validation {
    condition     = alltrue([for address in var.alarms.emails : can(regex("^[^@ ]+@[^@ ]+$", address))])
    error_message = "An address of an alarm is not one."
  }
}

# Queries.

variable "create_query" {
  description = "Whether the index is a table: a Glue database, an Athena workgroup, and a bucket for results."
  type        = bool
  default     = false
}

variable "query" {
  description = "Timelines to query over (none: each query names one), days for which results stay, and what one query may read at most."
  type = object({
    timelines        = optional(set(number), [])
    results_days     = optional(number, 7)
    scan_limit_bytes = optional(number, 10737418240)
  })
  default = {}

  validation {
    condition     = alltrue([for timeline in var.query.timelines : timeline >= 1 && floor(timeline) == timeline])
    error_message = "Timelines are whole numbers from 1 on."
  }

  validation {
    condition     = var.query.scan_limit_bytes >= 10485760
    error_message = "Athena takes no limit below 10485760 bytes."
  }
}
