import { readFile } from 'node:fs/promises';
import { projectFile } from '../lab/project';

/** What a row of README's table says to type. */
export interface DocumentedRow {
  keyturn: string[];
  temporal: string[];
}

/** The rows of README's table of commands, by their first cell. */
export async function readmeTable(): Promise<Map<string, DocumentedRow>> {
  const readme = await readFile(projectFile('README.md'), 'utf8');
  const codeOf = (cell = '') => [...cell.matchAll(/`([^`]+)`/g)].map(([, code = '']) => code);
  const rows = readme
    .split('\n')
    .filter((line) => line.startsWith('| ') && line.includes('`'))
    .map((line) => line.split('|').map((cell) => cell.trim()))
    .filter(([, label]) => label);
  return new Map(
    rows.map(([, label = '', keyturn, temporal]) => [label, { keyturn: codeOf(keyturn), temporal: codeOf(temporal) }]),
  );
}

/** The commands of the operators' guide, without their comments: of its indented lines, its shell blocks and its sentences. */
export async function guideCommands(): Promise<string[]> {
  const guide = await readFile(projectFile('docs', 'operators-guide.md'), 'utf8');
  const found = (text: string, line: RegExp) => [...text.matchAll(line)].map(([, command = '']) => command.trim());
  const blocks = [...guide.matchAll(/^```sh\n([^]*?)^```$/gm)].map(([, block = '']) => block);
  return [
    ...found(guide, /^ {4}((?:keyturn|temporal) .*)$/gm),
    ...blocks.flatMap((block) => found(block, /^((?:keyturn|temporal) [^#\n]*)/gm)),
    ...found(guide, /`(temporal task-queue [^`]+)`/g),
  ];
}
