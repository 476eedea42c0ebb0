variable "name" {
  description = "Name of the archive; the functions are named after it."
  type        = string
}

variable "place" {
  description = "Where this is: partition, region and account."
  type = object({
    partition  = string
    region     = string
    account_id = string
  })
}

variable "bucket_name" {
  description = "Name of the bucket."
  type        = string
}

variable "root" {
  description = "What all names of the archive begin with, with the slash: prefix/nodedb/v1/."
  type        = string
}

variable "archive_url" {
  description = "The archive, as --archive takes it."
  type        = string
}

variable "packages" {
  description = "Paths of the functions' zip files; a function without one is not created."
  type = object({
    index   = optional(string)
    sweep   = optional(string)
    compact = optional(string)
  })
}

variable "architecture" {
  description = "What the packages are built for: arm64 or x86_64."
  type        = string
  default     = "arm64"
}

variable "index" {
  description = "Size of the index function, and how it takes messages."
  type = object({
    timeout_seconds      = optional(number, 60)
    memory_mb            = optional(number, 512)
    batch_size           = optional(number, 10)
    batch_window_seconds = optional(number, 5)
    concurrency          = optional(number, 10)
  })
  default = {}
}

variable "sweep" {
  description = "Size and schedule of the sweep function; an empty schedule is none."
  type = object({
    timeout_seconds = optional(number, 900)
    memory_mb       = optional(number, 512)
    schedule        = optional(string, "rate(15 minutes)")
  })
  default = {}
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
}

variable "temporary_mb" {
  description = "Temporary disk of sweep and compact."
  type        = number
  default     = 2048
}

variable "environment" {
  description = "More environment variables, by function."
  type        = map(map(string))
  default     = {}
}

variable "layers" {
  description = "ARNs of layers, by function."
  type        = map(list(string))
  default     = {}
}

variable "queue_arn" {
  description = "ARN of the queue of new segments, or null."
  type        = string
  default     = null
}

variable "dead_arn" {
  description = "ARN of the queue of what could not be handled, or null."
  type        = string
  default     = null
}

variable "dead_url" {
  description = "URL of the queue of what could not be handled, or null."
  type        = string
  default     = null
}

variable "kms_key_arn" {
  description = "The key that the bucket encrypts with, or null."
  type        = string
  default     = null
}

variable "identity_kms_key_arn" {
  description = "The key that unwraps the identity for encrypted segments, or null."
  type        = string
  default     = null
}

variable "log_retention_days" {
  description = "Days for which logs are kept."
  type        = number
  default     = 30
}

variable "tags" {
  description = "Tags of all that is created."
  type        = map(string)
  default     = {}
}
