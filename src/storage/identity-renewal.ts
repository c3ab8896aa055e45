/**
 * Renewal: gives a directory a new identity after its log turned out to have lost acknowledged state. A node that forgot
 * a vote must never vote again under its old id, so it comes back as another one, with nothing but the addresses of the
 * ring it was in: it has to join there, and may never found a ring of its own.
 *
 * One atomic replacement of node.json: the new identity has a log directory of its own, the old log stays where it is.
 * Source: protocol rule R16; [Amnesia17] "Recovering from crash with amnesia".
 */
import type { NodeId } from '../domain/ids.ts';
import type { Disk } from '../ports/disk.ts';
import type { Random } from '../ports/random.ts';
import { readIdentity, writeIdentity } from './identity-file.ts';
import { SALT_BYTES } from './log-format.ts';

/** `rejoin`: addresses (`host:port`) of the ring's members. Rejects with errors of the disk. */
export async function renewIdentity(deps: { readonly disk: Disk; readonly random: Random }, directory: string, rejoin: readonly string[]): Promise<void> {
  const { disk, random } = deps;
  const found = await readIdentity(disk, directory);
  if (found.kind !== 'identity') return;
  const { name, keyBits } = found.identity;
  const nodeId = random.hex(16) as NodeId;
  await writeIdentity(disk, directory, { name, keyBits, nodeId, boot: 0, logSalt: random.hex(SALT_BYTES), logName: `log-${nodeId}`, hasLog: false, rejoin });
}
