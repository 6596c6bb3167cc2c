"""Task integrations of the embedded engine: Lambda functions, AWS services, HTTP endpoints.

    aws.py         clients of AWS services, called in a bounded pool of threads
    threads.py     the threads that blocking calls are made in
    names.py       how AWS's Java SDKs, which Step Functions calls services with, name services and exceptions
    shapes.py      parameters and results between Step Functions' casing and botocore's
    functions.py   Lambda functions: registered Python callables, an HTTP endpoint, or AWS
    optimised.py   the optimised integrations: their parameters, errors and results;  jobs.py  their ``.sync``
    sdk.py         aws-sdk:*, all services that botocore has
    web.py         http:invoke and apigateway:invoke
    choice.py      which of them a server has

Each implements the Protocol in engine/tasks/integrations.py, which is all that is known of the engine here; composition.py
chooses what a server has.
"""
