/** What a command gets: the doors, and its parsed arguments. */
import { parseArgs } from 'node:util';
import type { ChildProcesses } from '../ports/child-processes.ts';
import type { Clock } from '../ports/clock.ts';
import type { HttpClient } from '../ports/http-client.ts';
import type { LocalFiles } from '../ports/local-files.ts';
import type { Random } from '../ports/random.ts';
import type { Terminal } from '../ports/terminal.ts';
import { usageFailure } from './exit-code.ts';

export interface CommandDeps {
  readonly terminal: Terminal;
  readonly files: LocalFiles;
  readonly http: HttpClient;
  readonly processes: ChildProcesses;
  readonly clock: Clock;
  readonly random: Random;
  /** The admin token that belongs to a cluster secret. */
  readonly adminToken: (clusterSecret: string) => string;
}

export interface CommandOptions {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The program and the arguments before a command's own: how `dht dev` starts nodes and tells a person to. */
  readonly program: readonly string[];
  readonly version: string;
}

export interface CommandContext {
  readonly deps: CommandDeps;
  readonly options: CommandOptions;
  readonly args: CommandArguments;
}

export function sleep(clock: Clock, delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    clock.after(delayMs, resolve);
  });
}

/** Flags that every command takes. */
const COMMON_FLAGS = ['url', 'admin-url', 'token', 'cluster-secret-file'] as const;

export class CommandArguments {
  readonly positionals: readonly string[];
  readonly isJson: boolean;
  readonly #values: ReadonlyMap<string, string>;

  constructor(positionals: readonly string[], isJson: boolean, values: ReadonlyMap<string, string>) {
    this.positionals = positionals;
    this.isJson = isJson;
    this.#values = values;
  }

  value(flag: string): string | null {
    return this.#values.get(flag) ?? null;
  }

  /** An integer, or a usage failure that names the flag. */
  integer(flag: string, fallback: number, min: number, max: number): number {
    const text = this.value(flag);
    if (text === null) return fallback;
    const value = /^\d{1,9}$/.test(text) ? Number(text) : NaN;
    if (!(value >= min && value <= max)) throw usageFailure(`--${flag} is "${text}": allowed is an integer from ${min} to ${max}`);
    return value;
  }
}

/** Reads the arguments of one command; `flags` beside the common ones, each with a value. `-o` is `--output`. */
export function parseArguments(command: string, args: readonly string[], flags: readonly string[]): CommandArguments {
  const known = new Set<string>([...COMMON_FLAGS, ...flags]);
  const { tokens } = parseArgs({
    args: [...args],
    strict: false,
    allowPositionals: true,
    tokens: true,
    options: { json: { type: 'boolean' }, ...Object.fromEntries([...known].map((flag) => [flag, flag === 'output' ? { type: 'string' as const, short: 'o' } : { type: 'string' as const }])) },
  });
  const values = new Map<string, string>();
  const positionals: string[] = [];
  let isJson = false;
  for (const token of tokens) {
    if (token.kind === 'positional') positionals.push(token.value);
    if (token.kind !== 'option') continue;
    if (token.name === 'json' && token.value === undefined) isJson = true;
    else if (!known.has(token.name)) throw usageFailure(`dht ${command} has no ${token.rawName}`);
    else if (token.value === undefined) throw usageFailure(`${token.rawName} has no value`);
    else values.set(token.name, token.value);
  }
  return new CommandArguments(positionals, isJson, values);
}
