variable "bucket_name" {
  description = "Name of the bucket."
  type        = string
}

variable "root" {
  description = "What all names of the archive begin with, with the slash: prefix/nodedb/v1/."
  type        = string
}

variable "policy_json" {
  description = "The policy of the bucket, as modules/guard makes it."
  type        = string
}

variable "nodes" {
  description = "Ids of the nodes, if lifecycle rules shall tell kinds of objects apart."
  type        = set(string)
  default     = []
}

variable "encryption" {
  description = "sse-kms or sse-s3."
  type        = string
  default     = "sse-kms"
}

variable "kms_key_arn" {
  description = "The key for sse-kms."
  type        = string
  default     = null
}

variable "object_lock" {
  description = "Default retention of every version, or null."
  type = object({
    mode = string
    days = number
  })
  default = null
}

variable "cooling" {
  description = "After how many days which kinds of objects go to colder classes."
  type = object({
    instant_after_days = optional(number)
    deep_after_days    = optional(number)
    kinds              = optional(set(string), ["wal", "pack", "obj"])
    min_bytes          = optional(number, 131072)
  })
  default = {}
}

variable "noncurrent_days" {
  description = "Days after which a deleted object is really gone."
  type        = number
  default     = 30
}

variable "abort_multipart_days" {
  description = "Days after which the parts of an upload that never ended are removed."
  type        = number
  default     = 7
}

variable "tags" {
  description = "Tags of all that is created."
  type        = map(string)
  default     = {}
}
