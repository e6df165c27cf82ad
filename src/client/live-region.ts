import { stripVTControlCharacters } from 'node:util';

const ESCAPE = '\u001b[';

/** The last lines of a terminal, redrawn in place. */
export class LiveRegion {
  private drawn = 0;

  constructor(private readonly stream: NodeJS.WriteStream) {}

  /** Replaces what was drawn before. Lines are cut to the terminal's width, because a wrapped line would count as two. */
  draw(lines: string[]): void {
    const visible = lines.slice(-Math.max(1, this.stream.rows - 1)).map((line) => cut(line, this.stream.columns));
    this.stream.write(`${this.backToTop()}${visible.map((line) => `${line}\n`).join('')}`);
    this.drawn = visible.length;
  }

  /** Writes a line that stays, above the region. */
  above(line: string): void {
    this.stream.write(`${this.backToTop()}${line}\n`);
    this.drawn = 0;
  }

  /** Leaves what was drawn standing. */
  leave(): void {
    this.drawn = 0;
  }

  private backToTop(): string {
    return this.drawn > 0 ? `${ESCAPE}${this.drawn}A${ESCAPE}0J` : '';
  }
}

/** Breaks a line without colour at its spaces, where it is wider than the terminal. */
export function wrapped(line: string, columns: number): string[] {
  const lines: string[] = [];
  let rest = line;
  while (rest.length >= columns) {
    const space = rest.lastIndexOf(' ', columns - 1);
    if (space <= 0) break;
    lines.push(rest.slice(0, space));
    rest = rest.slice(space + 1);
  }
  return [...lines, rest];
}

/** Colour stands only at the beginning of a line, so the end can be taken off by the character. */
function cut(line: string, columns: number): string {
  const excess = stripVTControlCharacters(line).length - (columns - 1);
  return excess > 0 ? `${line.slice(0, -(excess + 1))}…` : line;
}
