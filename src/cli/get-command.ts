/**
 * dht get: saves an object under its name below the current directory, or where -o says ("-": to the output); with -r all
 * objects whose names begin with a prefix, several side by side.
 */
import type { CommandContext, CommandFlags } from './command-context.ts';
import { Download } from './download.ts';
import { FileSink, OutputSink } from './download-sinks.ts';
import { CommandFailure, EXIT, messageOf, usageFailure, type ExitCode } from './exit-code.ts';
import { JsonOutput } from './json-output.ts';
import { NodeClient, type ListPageJson } from './node-client.ts';
import { bytesText, printable } from './progress-bar.ts';
import { sideBySide } from './side-by-side.ts';
import { TransferProgress } from './transfer-progress.ts';

export const GET_FLAGS: CommandFlags = { values: ['output'], canRecurse: true };

type Listed = ListPageJson['objects'][number];

export async function get(context: CommandContext): Promise<ExitCode> {
  const { args } = context;
  const [name, more] = args.positionals;
  if (args.isRecursive) {
    if (more !== undefined) throw usageFailure('dht get -r needs one PREFIX');
    if (args.value('output') !== null) throw usageFailure('-o is for one object, not for -r');
    return await getAll(context, name ?? '');
  }
  if (name === undefined || more !== undefined) throw usageFailure('dht get needs one NAME');
  return await getOne(context, name);
}

async function getOne(context: CommandContext, name: string): Promise<ExitCode> {
  const { args, deps } = context;
  const output = args.value('output');
  const segments = name.split('/').filter((segment) => segment !== '');
  if (output === null && (segments.length === 0 || name.endsWith('/'))) throw usageFailure(`"${printable(name)}" has no file name at its end: say where with -o FILE`);
  const client = new NodeClient(context);
  if (output === '-') {
    await new Download({ client, clock: deps.clock, onTotal: () => undefined, onBytes: () => undefined }, name, new OutputSink(deps.terminal)).run();
    return EXIT.OK;
  }
  const place = await (output === null ? deps.files.placeBelow(segments) : deps.files.place(output)).catch(fail);
  const progress = new TransferProgress(deps);
  let total = 0;
  const onTotal = (bytes: number): void => {
    progress.expect(bytes - total);
    total = bytes;
  };
  try {
    const done = await new Download({ client, clock: deps.clock, onTotal, onBytes: (bytes) => { progress.moved(bytes, name); } }, name, new FileSink(place)).run();
    if (args.isJson) progress.print(`${JSON.stringify({ name, file: place.path, ...done })}\n`);
    else progress.print(`${printable(place.path)}  ${bytesText(done.size)}\n`);
  } finally {
    progress.clear();
  }
  return EXIT.OK;
}

async function getAll(context: CommandContext, prefix: string): Promise<ExitCode> {
  const { args, deps } = context;
  const client = new NodeClient(context);
  const progress = new TransferProgress(deps);
  const json = args.isJson ? new JsonOutput((text) => { progress.print(text); }, 'array') : null;
  let count = 0;
  async function* listed(): AsyncGenerator<Listed> {
    for await (const { objects } of client.list(prefix, null)) {
      for (const { size } of objects) progress.expect(size);
      count += objects.length;
      yield* objects;
    }
  }
  try {
    await sideBySide(deps.terminal, listed(), async ({ name }) => {
      const place = await deps.files.placeBelow(name.split('/')).catch((error: unknown) => fail(error, name));
      const done = await new Download({ client, clock: deps.clock, onTotal: () => undefined, onBytes: (bytes) => { progress.moved(bytes, name); } }, name, new FileSink(place)).run();
      if (json === null) progress.print(`${printable(place.path)}  ${bytesText(done.size)}\n`);
      else json.add({ name, file: place.path, ...done });
    });
  } finally {
    progress.clear();
    json?.end();
  }
  if (count === 0) throw new CommandFailure(EXIT.ABSENT, `no object has a name that begins with "${prefix}"`);
  return EXIT.OK;
}

function fail(error: unknown, name?: string): never {
  throw new CommandFailure(EXIT.ERROR, `not saved: ${name === undefined ? '' : `${name}: `}${messageOf(error)}`);
}
