# Alarms on Keyturn's rotations of one environment, from the worker's metrics (KEYTURN_CLOUDWATCH_METRICS=true).

terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

variable "environment" {
  type        = string
  description = "The environment, as the catalog names it"
}

variable "topic_arn" {
  type        = string
  description = "The SNS topic that is told"
}

variable "max_age_days" {
  type        = number
  default     = 97
  description = "How old the oldest secret may be; the longest maxAge of the catalog and a week"
}

variable "runbooks" {
  type        = string
  default     = "docs/runbooks"
  description = "Where your copy of docs/runbooks is, without a slash at the end; each alarm names its runbook by it"
}

resource "aws_cloudwatch_metric_alarm" "rotation_failed" {
  alarm_name        = "keyturn-${var.environment}-rotation-failed"
  alarm_description = "A rotation failed. ${var.runbooks}/rotation-failed.md"
  namespace         = "SecretRotation"
  metric_name       = "RotationSuccess"
  dimensions        = { Environment = var.environment }

  # One 0 among many 1 is a failure, so not the sum; where nothing ran there is nothing to be said.
  statistic           = "Minimum"
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  period              = 300
  evaluation_periods  = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = [var.topic_arn]
}

resource "aws_cloudwatch_metric_alarm" "secret_too_old" {
  alarm_name        = "keyturn-${var.environment}-secret-too-old"
  alarm_description = "A secret is too old, or nobody has looked for two days. ${var.runbooks}/overdue.md"
  namespace         = "SecretRotation"
  metric_name       = "SecretAge"
  dimensions        = { Environment = var.environment }

  statistic           = "Maximum"
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.max_age_days
  period              = 86400
  evaluation_periods  = 2
  datapoints_to_alarm = 2
  # When nothing runs at all there are no ages either.
  treat_missing_data = "breaching"
  alarm_actions      = [var.topic_arn]
  ok_actions         = [var.topic_arn]
}
