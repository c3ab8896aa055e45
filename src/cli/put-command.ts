/**
 * dht put: stores files, several side by side, each read while it is sent. `dht put dir/a` stores `a`; with -r, `dir` gives
 * all files below it under `dir/...`. What a receipt says arrived is compared with what was read.
 */
import { createHash } from 'node:crypto';
import { basename } from 'node:path';
import type { FoundFile, SkippedFile } from '../ports/local-files.ts';
import type { CommandContext, CommandFlags } from './command-context.ts';
import { CommandFailure, EXIT, messageOf, usageFailure, type ExitCode } from './exit-code.ts';
import { JsonOutput } from './json-output.ts';
import { NodeClient } from './node-client.ts';
import { bytesText, printable } from './progress-bar.ts';
import { sideBySide } from './side-by-side.ts';
import { TransferProgress } from './transfer-progress.ts';

export const PUT_FLAGS: CommandFlags = { values: ['name'], canRecurse: true };

interface Item {
  readonly path: string;
  readonly name: string;
}

export async function put(context: CommandContext): Promise<ExitCode> {
  const { args, deps } = context;
  const paths = args.positionals;
  const name = args.value('name');
  if (paths.length === 0) throw usageFailure('dht put needs a FILE');
  if (name !== null && paths.length > 1) throw usageFailure(`--name is for one file, not for ${paths.length}`);
  if (name === '') throw usageFailure('--name is empty');
  for (const path of paths) if (name === null && ['..', ''].includes(lastName(path))) throw usageFailure(`"${printable(path)}" has no name to store it under: give one with --name`);
  const client = new NodeClient(context);
  const progress = new TransferProgress(deps);
  const json = args.isJson ? new JsonOutput((text) => { progress.print(text); }, paths.length === 1 && !args.isRecursive ? 'one' : 'array') : null;
  try {
    // Only a person wants to know how much is to come, which costs a walk of its own.
    if (deps.terminal.isInteractive) for await (const { size } of files(context, paths, 'quiet')) progress.expect(size);
    await sideBySide(deps.terminal, files(context, paths, 'tell'), async ({ path, name: ownName }) => {
      const receipt = await putFile(context, client, { path, name: ownName }, (bytes) => { progress.moved(bytes, ownName); });
      if (json === null) progress.print(`${printable(receipt.name)}  ${bytesText(receipt.size)}  ${receipt.durableCopies} of ${receipt.replicationFactor} copies durable  owner ${receipt.owner}\n`);
      else json.add(receipt);
    });
  } finally {
    progress.clear();
    json?.end();
  }
  return EXIT.OK;
}

async function putFile({ deps }: CommandContext, client: NodeClient, { path, name }: Item, onBytes: (bytes: number) => void): ReturnType<NodeClient['put']> {
  let digest = createHash('sha256');
  const open = async () => {
    const file = await deps.files.open(path).catch(fail);
    digest = createHash('sha256');
    const next = async (): Promise<Buffer | null> => {
      const bytes = await file.next();
      if (bytes !== null) digest.update(bytes);
      return bytes;
    };
    return { size: file.size, next, close: () => file.close() };
  };
  const receipt = await client.put(name, open, onBytes);
  if (receipt.sha256 !== digest.digest('hex')) throw new CommandFailure(EXIT.ERROR, `${path} arrived damaged: its receipt has the digest ${receipt.sha256}`);
  return receipt;
}

/** What is to be stored, in order, with what isn't told or not. */
async function* files({ args, deps }: CommandContext, paths: readonly string[], how: 'tell' | 'quiet'): AsyncGenerator<Item & { readonly size: number }> {
  const ownName = args.value('name');
  for (const path of paths) {
    const last = lastName(path);
    if (!args.isRecursive || !(await deps.files.isDirectory(path).catch(fail))) {
      yield { path, name: ownName ?? last, size: how === 'quiet' ? await sizeOf(deps.files, path) : 0 };
      continue;
    }
    const above = ownName ?? (last === '.' ? null : last);
    for await (const file of walk(deps.files.walk(path))) {
      if ('size' in file) yield { path: file.path, name: [...(above === null ? [] : [above]), ...file.segments].join('/'), size: file.size };
      else if (how === 'tell') deps.terminal.note(`dht: ${printable(file.path)} is left out: ${printable(file.skipped)}\n`);
    }
  }
}

async function* walk(found: AsyncIterable<FoundFile | SkippedFile>): AsyncGenerator<FoundFile | SkippedFile> {
  try {
    yield* found;
  } catch (error) {
    fail(error);
  }
}

/** 0 for what will fail when it is read. */
async function sizeOf(local: CommandContext['deps']['files'], path: string): Promise<number> {
  try {
    const file = await local.open(path);
    await file.close();
    return file.size;
  } catch {
    return 0;
  }
}

function lastName(path: string): string {
  return basename(path);
}

function fail(error: unknown): never {
  throw new CommandFailure(EXIT.ERROR, messageOf(error));
}
