/**
 * Where rotten body files go: `quarantine/<body id>`, out of the way of the good copy that takes their place, kept for whoever
 * wants to know what the disk did. The last KEPT_MAX of them stay. Source: protocol section D.3 "quarantine and re-fetch".
 */
import type { BodyId } from '../domain/ids.ts';
import type { Disk } from '../ports/disk.ts';
import { removeIfThere } from './body-disk.ts';
import { bodyPath } from './body-format.ts';

/** Files kept: they may be gigabytes each. */
const KEPT_MAX = 8;

export async function quarantineBody(disk: Disk, directory: string, bodyId: BodyId): Promise<void> {
  const quarantine = `${directory}/quarantine`;
  await disk.makeDirectory(quarantine);
  const kept = (await disk.list(quarantine)).filter((name) => name !== bodyId);
  for (const name of kept.slice(0, Math.max(0, kept.length + 1 - KEPT_MAX))) await removeIfThere(disk, `${quarantine}/${name}`);
  await disk.rename(bodyPath(directory, bodyId), `${quarantine}/${bodyId}`);
}
