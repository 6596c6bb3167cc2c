/** Functions are named as the contract names its operations, CancelWorkflow and the ID in getWorkflowByID included. */
export default {
  input: process.env.OPENAPI ?? '../openapi.json',
  output: { path: process.env.OUTPUT ?? 'src/generated', module: { extension: '.js' } },
  plugins: [
    '@hey-api/typescript',
    '@hey-api/client-fetch',
    { name: '@hey-api/sdk', operations: { methodName: { casing: 'preserve' } } },
  ],
};
