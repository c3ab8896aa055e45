/**
 * Whose directory this is: `node.json`, one line of JSON and its CRC, readable by people. It binds the directory to one node
 * name and M, holds the node id that was made with the empty disk, the number of the present boot, and the salt of the log's
 * checksums. Replaced as a whole: written beside, synced, renamed, directory synced.
 *
 * A missing identity means an empty disk only when there is no log either, and a missing log a new node only when there never was
 * one; everything else that can't be read is damage.
 * Source: protocol sections A.3 and F.2 "Never delete on doubt".
 */
import { crc32 } from 'node:zlib';
import { isIdText, type NodeId } from '../domain/ids.ts';
import type { Disk } from '../ports/disk.ts';

export const IDENTITY_FORMAT_VERSION = 1;
/** The log's directory of an identity that came with an empty disk. */
export const FIRST_LOG_NAME = 'log';
const FILE_NAME = 'node.json';
const TEMPORARY_NAME = 'node.json.tmp';
/** Bytes that are read at most: many times what is ever written. */
const FILE_BYTES_MAX = 64 * 1024;

export interface Identity {
  /** `host:port`. */
  readonly name: string;
  readonly keyBits: number;
  readonly nodeId: NodeId;
  /** Starts so far. */
  readonly boot: number;
  /** 8 bytes, hex. */
  readonly logSalt: string;
  /** Directory of the log below the node's: `log`, but for renewed identities. */
  readonly logName: string;
  /** Something of this identity's log was durable once: a log without a segment is damage from then on, not a new node's. */
  readonly hasLog: boolean;
  /** Members of the ring that a renewed identity has to join again (see identity-renewal.ts); empty for all others. */
  readonly rejoin: readonly string[];
}

export type IdentityOutcome =
  | { readonly kind: 'identity'; readonly identity: Identity }
  | { readonly kind: 'missing' }
  | { readonly kind: 'newer'; readonly version: number }
  | { readonly kind: 'damaged'; readonly file: string; readonly detail: string };

export async function readIdentity(disk: Disk, directory: string): Promise<IdentityOutcome> {
  if (!(await disk.list(directory)).includes(FILE_NAME)) return { kind: 'missing' };
  const path = `${directory}/${FILE_NAME}`;
  const file = await disk.open(path, 'read');
  try {
    const outcome = parseIdentity((await file.read(0, FILE_BYTES_MAX)).toString('utf8'));
    return outcome.kind === 'damaged' ? { ...outcome, file: path } : outcome;
  } finally {
    await file.close();
  }
}

export async function writeIdentity(disk: Disk, directory: string, identity: Identity): Promise<void> {
  const temporary = `${directory}/${TEMPORARY_NAME}`;
  if ((await disk.list(directory)).includes(TEMPORARY_NAME)) await disk.remove(temporary);
  const file = await disk.open(temporary, 'create');
  try {
    await file.write(0, [Buffer.from(identityText(identity))]);
    await file.sync();
  } finally {
    await file.close();
  }
  await disk.rename(temporary, `${directory}/${FILE_NAME}`);
  await disk.syncDirectory(directory);
}

export function identityText(identity: Identity): string {
  const { name, keyBits, nodeId, boot, logSalt, logName, hasLog, rejoin } = identity;
  const line = JSON.stringify({ format: IDENTITY_FORMAT_VERSION, name, keyBits, nodeId, boot, logSalt, ...(hasLog && { hasLog }), ...(logName === FIRST_LOG_NAME ? {} : { logName, rejoin }) });
  return `${line}\ncrc32 ${checksum(line)}\n`;
}

function checksum(line: string): string {
  return crc32(line).toString(16).padStart(8, '0');
}

function parseIdentity(text: string): IdentityOutcome {
  const damaged = (detail: string): IdentityOutcome => ({ kind: 'damaged', file: FILE_NAME, detail });
  const [line = '', crcLine] = text.split('\n');
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return damaged('it is no JSON');
  }
  if (typeof value !== 'object' || value === null) return damaged('it is no JSON object');
  const { format, name, keyBits, nodeId, boot, logSalt, logName = FIRST_LOG_NAME, hasLog = false, rejoin = [] } = value as Record<string, unknown>;
  // Before the checksum, which a newer version may compute otherwise.
  if (typeof format === 'number' && format > IDENTITY_FORMAT_VERSION) return { kind: 'newer', version: format };
  if (crcLine !== `crc32 ${checksum(line)}`) return damaged('its checksum is wrong');
  if (
    typeof name !== 'string' || typeof keyBits !== 'number' || typeof nodeId !== 'string' || !isIdText(nodeId) ||
    typeof boot !== 'number' || !Number.isSafeInteger(boot) || typeof logSalt !== 'string' || !/^[0-9a-f]{16}$/.test(logSalt) ||
    typeof logName !== 'string' || !/^log(-[0-9a-f]{32})?$/.test(logName) || typeof hasLog !== 'boolean' || !Array.isArray(rejoin) || !rejoin.every((address) => typeof address === 'string')
  ) {
    return damaged('a field is missing or wrong');
  }
  return { kind: 'identity', identity: { name, keyBits, nodeId: nodeId as NodeId, boot, logSalt, logName, hasLog, rejoin } };
}
