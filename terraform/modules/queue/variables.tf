variable "name" {
  description = "Name of the archive; the queues are named after it."
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

variable "nodes" {
  description = "Ids of the nodes. Up to 100 have a filter each."
  type        = set(string)
  default     = []
}

variable "event_source" {
  description = "s3 (the bucket notifies the queue), eventbridge, or none (somebody else sends)."
  type        = string
  default     = "s3"
}

variable "create_notification" {
  description = "Whether the bucket's notifications are set here. They are one configuration: setting them replaces all others."
  type        = bool
  default     = true
}

variable "visibility_timeout_seconds" {
  description = "For how long a message that is being handled is not given out again: at least six times the function's timeout."
  type        = number
  default     = 390
}

variable "max_receives" {
  description = "After how many attempts a message goes to the dead."
  type        = number
  default     = 5
}

variable "retention_seconds" {
  description = "For how long a message waits to be handled."
  type        = number
  default     = 1209600
}

variable "tags" {
  description = "Tags of all that is created."
  type        = map(string)
  default     = {}
}
