/** The program `dht` without `dht node`: finds the command, runs it, and turns its end into an exit code. */
import { DhtError } from '../domain/error-catalogue.ts';
import { canary, CANARY_FLAGS } from './canary-command.ts';
import { parseArguments, type CommandContext, type CommandDeps, type CommandFlags, type CommandOptions } from './command-context.ts';
import { completionScript, flagsOf } from './completion-command.ts';
import { dev, DEV_FLAGS } from './dev-command.ts';
import { CommandFailure, EXIT, usageFailure, type ExitCode } from './exit-code.ts';
import { get, GET_FLAGS } from './get-command.ts';
import { HELP } from './help-text.ts';
import { list, LS_FLAGS } from './ls-command.ts';
import { printable } from './progress-bar.ts';
import { put, PUT_FLAGS } from './put-command.ts';
import { explain, join, leave, recover, status } from './ring-commands.ts';
import { remove } from './rm-command.ts';

interface Command {
  readonly flags: CommandFlags;
  run(context: CommandContext): Promise<ExitCode>;
}

const NO_FLAGS: CommandFlags = { values: [] };

const COMMANDS: ReadonlyMap<string, Command> = new Map<string, Command>([
  ['dev', { flags: DEV_FLAGS, run: dev }],
  ['put', { flags: PUT_FLAGS, run: put }],
  ['get', { flags: GET_FLAGS, run: get }],
  ['ls', { flags: LS_FLAGS, run: list }],
  ['rm', { flags: NO_FLAGS, run: remove }],
  ['status', { flags: NO_FLAGS, run: status }],
  ['explain', { flags: NO_FLAGS, run: explain }],
  ['join', { flags: NO_FLAGS, run: join }],
  ['leave', { flags: NO_FLAGS, run: leave }],
  ['canary', { flags: CANARY_FLAGS, run: canary }],
  ['completion', { flags: NO_FLAGS, run: completion }],
  ['recover', { flags: { values: [], switches: ['accept-data-loss'] }, run: recover }],
]);

function completion({ args, deps, options }: CommandContext): Promise<ExitCode> {
  const own = [...COMMANDS].map(([name, { flags }]) => ({ name, flags: flagsOf(flags) }));
  const others = [{ name: 'node', flags: [...options.nodeFlags, 'help'] }, { name: 'help', flags: [] }, { name: 'version', flags: ['json'] }];
  const [shell, extra] = args.positionals;
  deps.terminal.print(completionScript(extra === undefined ? shell : undefined, [...own, ...others]));
  return Promise.resolve(EXIT.OK);
}

/** Runs `dht ARGS...`; resolves with the exit code, never rejects but for bugs. */
export async function runCommandLine(argv: readonly string[], deps: CommandDeps, options: CommandOptions): Promise<ExitCode> {
  const [name = 'help', ...rest] = argv;
  const { terminal } = deps;
  if (name === 'help' || name === '--help' || name === '-h' || rest.includes('--help')) {
    terminal.print(HELP);
    return argv.length === 0 ? EXIT.USAGE : EXIT.OK;
  }
  if (name === 'version' || name === '--version') {
    terminal.print(`${rest.includes('--json') ? JSON.stringify({ version: options.version }) : `dht ${options.version}`}\n`);
    return EXIT.OK;
  }
  try {
    const command = COMMANDS.get(name);
    if (command === undefined) throw usageFailure(`there is no command "${name}"`);
    return await command.run({ deps, options, args: parseArguments(name, rest, command.flags) });
  } catch (error) {
    if (!(error instanceof CommandFailure || error instanceof DhtError)) throw error;
    // A catalogue error here is a secret that can't be one.
    const exitCode = error instanceof CommandFailure ? error.exitCode : EXIT.USAGE;
    terminal.note(`dht: ${printable(error.message)}\n`);
    if (rest.includes('--json')) terminal.print(`${JSON.stringify({ error: { message: error.message, code: error.code, exitCode } })}\n`);
    return exitCode;
  }
}
