import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { parse } from 'yaml';
import type { ScalarTag } from 'yaml';
import type { MonitoringTools } from '../lab/monitoring-tools/tools';
import { projectFile } from '../lab/project';

/** A query of Prometheus, taken apart; with `error` when it is none. */
export interface Query {
  selectors?: { metric: string; labels: string[] }[];
  grouping?: string[];
  error?: string;
}

/** A block of Terraform whose variables are known; inner blocks by their type and labels, such as `resource aws_sqs_queue events`. */
export interface TerraformBlock {
  arguments: Record<string, unknown>;
  blocks: Record<string, TerraformBlock>;
}

export function monitoringFile(...path: string[]): string {
  return projectFile('deploy', 'monitoring', ...path);
}

/** Takes queries of Prometheus apart, each by itself. */
export function readQueries(tools: MonitoringTools, expressions: string[]): Promise<Query[]> {
  return ask(tools, 'queries', expressions);
}

/** Reads a Terraform file: as Terraform would format it, and what it says. */
export function readTerraform(
  tools: MonitoringTools,
  text: string,
  variables: Record<string, unknown>,
): Promise<{ formatted: string; blocks: Record<string, TerraformBlock> }> {
  return ask(tools, 'terraform', { text, variables });
}

async function ask<Answer>({ alarmsAndQueries }: MonitoringTools, what: string, question: unknown): Promise<Answer> {
  const answering = promisify(execFile)(alarmsAndQueries, [what]);
  answering.child.stdin?.end(JSON.stringify(question));
  return JSON.parse((await answering).stdout) as Answer;
}

/** A CloudFormation template as far as tests look into it. */
export interface Template {
  Parameters: Record<string, { Type: string; Default?: unknown; Description: string }>;
  Resources: Record<string, { Type: string; Properties: Record<string, unknown> }>;
}

/** Reads a template, with the parameters put in and everything else that `!Ref` or `!Sub` name left as it is. */
export async function readTemplate(path: string, parameters: Record<string, unknown>): Promise<Template> {
  const ref: ScalarTag = { tag: '!Ref', resolve: (name) => parameters[name] ?? `\${${name}}` };
  const sub: ScalarTag = {
    tag: '!Sub',
    resolve: (text) => text.replace(/\$\{(\w+)\}/g, (whole, name: string) => String(parameters[name] ?? whole)),
  };
  return parse(await readFile(path, 'utf8'), { customTags: [ref, sub], logLevel: 'error' }) as Template;
}

/** The rules for Prometheus. */
export interface RuleFile {
  groups: {
    name: string;
    rules: ({ expr: string } & ({ alert: string; annotations: Record<string, string> } | { record: string }))[];
  }[];
}

export async function readRules(): Promise<RuleFile> {
  return parse(await readFile(monitoringFile('prometheus', 'keyturn.rules.yaml'), 'utf8')) as RuleFile;
}

/** The dashboard for Grafana, as far as tests look into it. */
export interface Dashboard {
  title: string;
  uid: string;
  templating: { list: { name: string; type: string; query: string }[] };
  panels: {
    id: number;
    title: string;
    gridPos: { x: number; y: number; w: number; h: number };
    targets: { refId: string; expr: string }[];
    fieldConfig?: { defaults: { unit?: string } };
  }[];
}

export async function readDashboard(): Promise<Dashboard> {
  return JSON.parse(await readFile(monitoringFile('grafana', 'keyturn.json'), 'utf8')) as Dashboard;
}
