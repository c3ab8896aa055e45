/** One measured row of a benchmark, and where it goes. */
export interface Row {
  readonly what: string;
  readonly concurrency?: number;
  /** The figure; operations a second unless `what` says otherwise. */
  readonly perSecond: number;
  readonly p50Ms?: number;
  readonly p99Ms?: number;
  readonly failures?: number;
  /** To the plain way of doing it, in the same run. */
  readonly ratioToRaw?: number;
  /** What the design wants of it, in the unit of the figure. */
  readonly budget?: number;
}

export type Report = (row: Row) => void;

/** A row as a line of a table. */
export function rowText(row: Row): string {
  const cells = [
    row.what.padEnd(52),
    (row.concurrency === undefined ? '' : `x${row.concurrency}`).padStart(5),
    format(row.perSecond).padStart(12),
    (row.p50Ms === undefined ? '' : `p50 ${row.p50Ms.toFixed(2)} ms`).padStart(14),
    (row.p99Ms === undefined ? '' : `p99 ${row.p99Ms.toFixed(2)} ms`).padStart(15),
    (row.ratioToRaw === undefined ? '' : `${row.ratioToRaw.toFixed(3)} of raw`).padStart(15),
    row.budget === undefined ? '' : `  budget ${row.budget}`,
    row.failures === undefined || row.failures === 0 ? '' : `  ${row.failures} FAILED`,
  ];
  return cells.join('');
}

function format(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString('en-US') : value.toFixed(3);
}
