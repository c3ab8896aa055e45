/** Resident memory of a process, as the kernel of Linux counts it; 0 where there is no /proc. */
import { readFile, writeFile } from 'node:fs/promises';

export function residentMiB(pid: number): Promise<number> {
  return statusMiB(pid, /VmRSS:\s+(\d+)/);
}

/** The most it ever was, since the start or the last reset. */
export function peakResidentMiB(pid: number): Promise<number> {
  return statusMiB(pid, /VmHWM:\s+(\d+)/);
}

export async function resetPeakResident(pid: number): Promise<void> {
  await writeFile(`/proc/${pid}/clear_refs`, '5').catch(() => undefined);
}

async function statusMiB(pid: number, line: RegExp): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  return Number(line.exec(status)?.[1] ?? 0) / 1024;
}
