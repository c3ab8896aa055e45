/** dht canary: stores, reads back and verifies objects until it is told to stop, and publishes what it finds. */
import { hash } from 'node:crypto';
import { CanaryRequests, type RequestOptions } from '../canary/canary-requests.ts';
import { Canary, type CanaryOptions } from '../canary/canary.ts';
import { cleanUp } from '../canary/clean-up.ts';
import type { CommandContext, CommandFlags } from './command-context.ts';
import { CommandFailure, EXIT, messageOf, usageFailure, type ExitCode } from './exit-code.ts';
import { gatewayToken, gatewayUrls } from './node-client.ts';
import { printable } from './progress-bar.ts';

export const CANARY_FLAGS: CommandFlags = { values: ['listen', 'port', 'objects', 'rate', 'size-max', 'prefix', 'seed', 'timeout'], switches: ['clean'] };

const PORT_DEFAULT = 9465;
const PORT_MAX = 65_535;
const OBJECTS_DEFAULT = 64;
/** Each costs some 30 bytes of what is saved before a write. */
const OBJECTS_MAX = 10_000;
/** Turns a second. */
const RATE_DEFAULT = 5;
const RATE_MAX = 1000;
/** Bytes; above the inline limit, so that streamed bodies occur too. */
const SIZE_MAX_DEFAULT = 256 * 1024;
const SIZE_MAX_MAX = 16 * 1024 * 1024;
/** Seconds. */
const TIMEOUT_DEFAULT = 10;
const TIMEOUT_MAX = 600;
/** Lower-case hex digits of a seed. */
const SEED_DIGITS = 16;

export async function canary(context: CommandContext): Promise<ExitCode> {
  const { args, deps } = context;
  const options = canaryOptions(context);
  if (args.has('clean')) return await clean(context, options);
  const port = args.integer('port', PORT_DEFAULT, 0, PORT_MAX);
  const host = args.value('listen') ?? 'localhost';
  const server = deps.metricsServer();
  const note = (line: string): void => { deps.terminal.note(`dht canary: ${printable(line)}\n`); };
  const running = new Canary({ clock: deps.clock, random: deps.random.fork('canary'), http: deps.http, meter: server.meter, note }, options);
  const listening = await server.listen({ host, port }).catch((error: unknown) => {
    throw new CommandFailure(EXIT.ERROR, `port ${port} can not be used: ${messageOf(error)}`);
  });
  note(`publishes on port ${listening.port}`);
  deps.terminal.onStop(() => { running.stop(); });
  running.start();
  const end = await running.ended;
  await listening.close();
  deps.terminal.print(args.isJson ? `${JSON.stringify(running.findings)}\n` : `${Object.entries(running.findings).map(([finding, count]) => `${finding} ${count}`).join('  ')}\n`);
  if (end === 'superseded') throw new CommandFailure(EXIT.CONFLICT, `another canary took over the objects below ${options.prefix}, or they were removed`);
  return EXIT.OK;
}

async function clean({ args, deps }: CommandContext, options: CanaryOptions): Promise<ExitCode> {
  const outcome = await cleanUp(new CanaryRequests({ http: deps.http, random: deps.random.fork('clean') }, options), options.prefix);
  if (outcome.kind === 'incomplete') throw new CommandFailure(EXIT.UNKNOWN, `${outcome.removed} objects removed, then: ${outcome.reason}`);
  deps.terminal.print(args.isJson ? `${JSON.stringify({ removed: outcome.removed })}\n` : `${outcome.removed} objects removed\n`);
  return EXIT.OK;
}

function canaryOptions(context: CommandContext): CanaryOptions {
  const { args } = context;
  const [extra] = args.positionals;
  if (extra !== undefined) throw usageFailure(`dht canary takes no "${extra}"`);
  const prefix = args.value('prefix') ?? 'canary/';
  if (!/^[\w.-]{1,64}(?:\/[\w.-]{1,64}){0,3}\/$/.test(prefix) || /(?:^|\/)\.{1,2}\//.test(prefix)) throw usageFailure(`--prefix is "${prefix}": allowed are letters, digits, dots and dashes with a slash at the end`);
  const requests: RequestOptions = { gateways: gatewayUrls(context), token: gatewayToken(context), timeoutMs: args.integer('timeout', TIMEOUT_DEFAULT, 1, TIMEOUT_MAX) * 1000 };
  return {
    ...requests,
    prefix,
    seed: hash('sha256', args.value('seed') ?? prefix, 'hex').slice(0, SEED_DIGITS),
    objects: args.integer('objects', OBJECTS_DEFAULT, 1, OBJECTS_MAX),
    rate: args.integer('rate', RATE_DEFAULT, 1, RATE_MAX),
    sizeMax: args.integer('size-max', SIZE_MAX_DEFAULT, 1, SIZE_MAX_MAX),
  };
}
