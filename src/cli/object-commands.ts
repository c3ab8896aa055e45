/** dht put, get, rm. */
import { createHash } from 'node:crypto';
import { basename } from 'node:path';
import { INLINE_BODY_BYTES_MAX } from '../domain/limits.ts';
import type { Receipt } from '../domain/object-operation.ts';
import type { CommandContext } from './command-context.ts';
import { CommandFailure, EXIT, usageFailure, type ExitCode } from './exit-code.ts';
import { NodeClient } from './node-client.ts';
import { bytesText, printable, ProgressBar } from './progress-bar.ts';

export const PUT_FLAGS = ['name'] as const;
export const GET_FLAGS = ['output'] as const;

/** Stores each file under its base name, or one file under --name. */
export async function put(context: CommandContext): Promise<ExitCode> {
  const { args, deps } = context;
  const paths = args.positionals;
  const name = args.value('name');
  if (paths.length === 0) throw usageFailure('dht put needs a FILE');
  if (name !== null && paths.length > 1) throw usageFailure(`--name is for one file, not for ${paths.length}`);
  if (name === '') throw usageFailure('--name is empty');
  const client = new NodeClient(context);
  const bar = new ProgressBar(deps, paths.length * INLINE_BODY_BYTES_MAX);
  const receipts: Receipt[] = [];
  try {
    for (const [index, path] of paths.entries()) {
      const bytes = await readFile(context, path);
      bar.show(index * INLINE_BODY_BYTES_MAX, path);
      const response = await client.object('PUT', name ?? basename(path), bytes);
      const receipt = JSON.parse(response.body.toString('utf8')) as Receipt;
      receipts.push(receipt);
      if (receipt.sha256 !== sha256(bytes)) throw new CommandFailure(EXIT.ERROR, `${path} arrived damaged: its receipt has the digest ${receipt.sha256}`);
      bar.clear();
      if (!args.isJson) deps.terminal.print(`${printable(receipt.name)}  ${bytesText(receipt.size)}  ${receipt.durableCopies} of ${receipt.replicationFactor} copies durable  owner ${receipt.owner}\n`);
    }
  } finally {
    bar.clear();
    if (args.isJson && receipts.length > 0) deps.terminal.print(`${JSON.stringify(receipts.length === 1 && paths.length === 1 ? receipts[0] : receipts)}\n`);
  }
  return EXIT.OK;
}

/** Saves an object under its name below the current directory, or where -o says ("-": to the output). */
export async function get(context: CommandContext): Promise<ExitCode> {
  const { args, deps } = context;
  const [name] = args.positionals;
  if (name === undefined || args.positionals.length > 1) throw usageFailure('dht get needs one NAME');
  const output = args.value('output');
  const segments = name.split('/').filter((segment) => segment !== '');
  if (output === null && (segments.length === 0 || name.endsWith('/'))) throw usageFailure(`"${printable(name)}" has no file name at its end: say where with -o FILE`);
  const response = await new NodeClient(context).object('GET', name, null);
  const digest = /sha-256=:([^:]+):/.exec(response.headers.get('repr-digest') ?? '')?.[1];
  const actual = createHash('sha256').update(response.body).digest('base64');
  if (digest !== undefined && digest !== actual) throw new CommandFailure(EXIT.ERROR, `${printable(name)} arrived damaged: its digest is ${actual}, announced was ${digest}`);
  if (output === '-') {
    deps.terminal.print(response.body);
    return EXIT.OK;
  }
  const saved = await save(context, output, segments, response.body);
  const { body, headers } = response;
  if (args.isJson) deps.terminal.print(`${JSON.stringify({ name, file: saved, size: body.length, sha256: sha256(body), etag: headers.get('etag') ?? null })}\n`);
  else deps.terminal.print(`${printable(saved)}  ${bytesText(body.length)}\n`);
  return EXIT.OK;
}

/** Removes the objects; it is no error when one isn't there. */
export async function remove(context: CommandContext): Promise<ExitCode> {
  const { args, deps } = context;
  if (args.positionals.length === 0) throw usageFailure('dht rm needs a NAME');
  const client = new NodeClient(context);
  for (const name of args.positionals) {
    await client.object('DELETE', name, null);
    deps.terminal.print(args.isJson ? `${JSON.stringify({ name, removed: true })}\n` : `${printable(name)}  removed\n`);
  }
  return EXIT.OK;
}

async function readFile({ deps }: CommandContext, path: string): Promise<Buffer> {
  try {
    return await deps.files.read(path, INLINE_BODY_BYTES_MAX);
  } catch (error) {
    throw new CommandFailure(EXIT.ERROR, error instanceof Error ? error.message : String(error));
  }
}

async function save({ deps }: CommandContext, output: string | null, segments: readonly string[], bytes: Buffer): Promise<string> {
  try {
    if (output === null) return await deps.files.saveBelow(segments, bytes);
    await deps.files.save(output, bytes);
    return output;
  } catch (error) {
    throw new CommandFailure(EXIT.ERROR, `not saved: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
