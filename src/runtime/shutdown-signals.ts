/**
 * Signals that ask the process to end. The same one a second time ends it at once; two different ones don't, because at
 * a terminal Ctrl-C reaches a whole group of processes, and their parent's SIGTERM follows.
 */
const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;

export function onShutdownSignal(fn: (signal: string) => void): void {
  for (const signal of SIGNALS) {
    process.once(signal, () => {
      process.once(signal, () => process.exit(128 + (signal === 'SIGINT' ? 2 : signal === 'SIGTERM' ? 15 : 1)));
      fn(signal);
    });
  }
}
