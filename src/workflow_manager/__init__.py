"""workflow-manager: versioned workflows on AWS Step Functions or an embedded durable engine."""
