import { readFile } from 'node:fs/promises';
import type { CloudFormationClient } from '@aws-sdk/client-cloudformation';
import { CreateStackCommand, DescribeStacksCommand } from '@aws-sdk/client-cloudformation';
import { until } from './until';

/**
 * Creates a stack from a template, in ministack.
 *
 * @returns its outputs
 * @throws Error when it is not created
 */
export async function createStack(
  cloudFormation: CloudFormationClient,
  name: string,
  path: string,
  parameters: Record<string, string>,
): Promise<Record<string, string | undefined>> {
  await cloudFormation.send(
    new CreateStackCommand({
      StackName: name,
      // ministack has no AWS::IAM::RolePolicy; cfn-lint sees the template as it is.
      TemplateBody: (await readFile(path, 'utf8'))
        .replaceAll('AWS::IAM::RolePolicy', 'AWS::IAM::Policy')
        .replaceAll(/^( +)RoleName: (!Ref \w+)$/gm, '$1Roles: [$2]'),
      Parameters: Object.entries(parameters).map(([ParameterKey, ParameterValue]) => ({
        ParameterKey,
        ParameterValue,
      })),
      Capabilities: ['CAPABILITY_IAM'],
    }),
  );
  const stack = await until(`the stack ${name} is there or is not`, async () => {
    const { Stacks = [] } = await cloudFormation.send(new DescribeStacksCommand({ StackName: name }));
    return Stacks.find(({ StackStatus = '' }) => !StackStatus.endsWith('_IN_PROGRESS'));
  });
  if (stack.StackStatus !== 'CREATE_COMPLETE') {
    throw new Error(`The stack ${name} is ${stack.StackStatus}: ${stack.StackStatusReason}`);
  }
  return Object.fromEntries((stack.Outputs ?? []).map(({ OutputKey = '', OutputValue }) => [OutputKey, OutputValue]));
}
