/** The program `dht` without `dht node`: finds the command, runs it, and turns its end into an exit code. */
import { DhtError } from '../domain/error-catalogue.ts';
import { parseArguments, type CommandContext, type CommandDeps, type CommandOptions } from './command-context.ts';
import { dev, DEV_FLAGS } from './dev-command.ts';
import { CommandFailure, EXIT, usageFailure, type ExitCode } from './exit-code.ts';
import { HELP } from './help-text.ts';
import { get, GET_FLAGS, put, PUT_FLAGS, remove } from './object-commands.ts';
import { printable } from './progress-bar.ts';
import { explain, join, leave, status } from './ring-commands.ts';

interface Command {
  readonly flags: readonly string[];
  run(context: CommandContext): Promise<ExitCode>;
}

const COMMANDS: ReadonlyMap<string, Command> = new Map<string, Command>([
  ['dev', { flags: DEV_FLAGS, run: dev }],
  ['put', { flags: PUT_FLAGS, run: put }],
  ['get', { flags: GET_FLAGS, run: get }],
  ['rm', { flags: [], run: remove }],
  ['status', { flags: [], run: status }],
  ['explain', { flags: [], run: explain }],
  ['join', { flags: [], run: join }],
  ['leave', { flags: [], run: leave }],
]);

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
