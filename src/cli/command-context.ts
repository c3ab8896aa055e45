/** What a command gets: the doors, and its parsed arguments. */
import { parseArgs } from 'node:util';
import type { ChildProcesses } from '../ports/child-processes.ts';
import type { Clock } from '../ports/clock.ts';
import type { HttpClient } from '../ports/http-client.ts';
import type { LocalFiles } from '../ports/local-files.ts';
import type { MetricsServer } from '../ports/metrics-server.ts';
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
  readonly metricsServer: () => MetricsServer;
  /** The admin token that belongs to a cluster secret. */
  readonly adminToken: (clusterSecret: string) => string;
}

export interface CommandOptions {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The program and the arguments before a command's own: how `dht dev` starts nodes and tells a person to. */
  readonly program: readonly string[];
  readonly version: string;
  /** The flags of `dht node`, without the dashes. */
  readonly nodeFlags: readonly string[];
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
export const COMMON_FLAGS = ['url', 'admin-url', 'token', 'cluster-secret-file'] as const;

export class CommandArguments {
  readonly positionals: readonly string[];
  readonly isJson: boolean;
  readonly isRecursive: boolean;
  readonly #switches: ReadonlySet<string>;
  readonly #values: ReadonlyMap<string, readonly string[]>;

  constructor(positionals: readonly string[], switches: ReadonlySet<string>, values: ReadonlyMap<string, readonly string[]>) {
    this.positionals = positionals;
    this.isJson = switches.has('json');
    this.isRecursive = switches.has('recursive');
    this.#switches = switches;
    this.#values = values;
  }

  /** The last one. */
  value(flag: string): string | null {
    return this.#values.get(flag)?.at(-1) ?? null;
  }

  /** Each of a flag that may be repeated. */
  values(flag: string): readonly string[] {
    return this.#values.get(flag) ?? [];
  }

  has(flag: string): boolean {
    return this.#switches.has(flag);
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

/** What a command takes beside the common flags: flags with a value, those without, and `-r`. */
export interface CommandFlags {
  readonly values: readonly string[];
  readonly switches?: readonly string[];
  readonly canRecurse?: boolean;
}

const SHORT: Readonly<Record<string, string>> = { output: 'o', recursive: 'r' };

/** Reads the arguments of one command. */
export function parseArguments(command: string, args: readonly string[], { values: ownFlags, switches: ownSwitches = [], canRecurse = false }: CommandFlags): CommandArguments {
  const known = new Set<string>([...COMMON_FLAGS, ...ownFlags]);
  const knownSwitches = new Set<string>([...(canRecurse ? ['json', 'recursive'] : ['json']), ...ownSwitches]);
  const option = (type: 'string' | 'boolean') => (flag: string) => [flag, SHORT[flag] === undefined ? { type } : { type, short: SHORT[flag] }] as const;
  const { tokens } = parseArgs({
    args: [...args],
    strict: false,
    allowPositionals: true,
    tokens: true,
    options: Object.fromEntries([...[...known].map(option('string')), ...[...knownSwitches].map(option('boolean'))]),
  });
  const values = new Map<string, string[]>();
  const switches = new Set<string>();
  const positionals: string[] = [];
  for (const token of tokens) {
    if (token.kind === 'positional') positionals.push(token.value);
    if (token.kind !== 'option') continue;
    if (knownSwitches.has(token.name) && token.value === undefined) switches.add(token.name);
    else if (!known.has(token.name)) throw usageFailure(`dht ${command} has no ${token.rawName}`);
    else if (token.value === undefined) throw usageFailure(`${token.rawName} has no value`);
    else values.set(token.name, [...values.get(token.name) ?? [], token.value]);
  }
  return new CommandArguments(positionals, switches, values);
}
