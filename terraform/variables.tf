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
  description = "ARNs of principals (with * and ?) that alone may delete from the archive, whatever else is granted to others. Empty: whoever has a grant. Lifecycle rules are not concerned."
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
