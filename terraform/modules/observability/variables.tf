variable "name" {
  description = "Name of the archive; alarms and dashboard are named after it."
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

variable "functions" {
  description = "Names of the functions by what they do: index, sweep, compact."
  type        = map(string)
  default     = {}
}

variable "queue_name" {
  description = "Name of the queue of new segments, or null."
  type        = string
  default     = null
}

variable "dead_name" {
  description = "Name of the queue of what could not be handled, or null."
  type        = string
  default     = null
}

variable "metric_dimensions" {
  description = "Dimensions of the metrics that the sweep publishes: Function, and Archive, which is the bucket and prefix."
  type        = map(string)
}

variable "queue_age_seconds" {
  description = "How old a message may become."
  type        = number
  default     = 900
}

variable "lag_seconds" {
  description = "How far behind the clock the end of the window may be. 0: no alarm, for nodes that may write nothing for long."
  type        = number
  default     = 3600
}

variable "unindexed" {
  description = "How many segments may be without an index."
  type        = number
  default     = 0
}

variable "sweep_period_seconds" {
  description = "Period over which the archive's metrics are looked at: at least that of the sweep."
  type        = number
  default     = 1800
}

variable "alarm_topic_arns" {
  description = "SNS topics that alarms go to."
  type        = list(string)
  default     = []
}

variable "alarm_emails" {
  description = "Addresses that alarms go to, through a topic that is created."
  type        = set(string)
  default     = []
}

variable "topic_kms_key_id" {
  description = "The key of that topic. CloudWatch must be allowed to use it, so not alias/aws/sns. Null: not encrypted; an alarm holds names and numbers."
  type        = string
  default     = null
}

variable "create_dashboard" {
  description = "Whether there is a dashboard."
  type        = bool
  default     = true
}

variable "tags" {
  description = "Tags of all that is created."
  type        = map(string)
  default     = {}
}
