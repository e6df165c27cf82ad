import type { Command } from 'commander';
import type { Answer, Shell } from '../shell';

/** Adds one command to the program. */
export type Register = (program: Command, run: Run) => void;

/** Runs a command's work in the shell and keeps its exit code. */
export type Run = (work: (shell: Shell) => Promise<Answer | void>) => Promise<void>;
