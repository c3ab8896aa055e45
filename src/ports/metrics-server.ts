/** The door through which a command publishes numbers: a meter, and a port that serves `/metrics` and `/livez`. */
import type { Meter } from './meter.ts';

export interface MetricsServer {
  readonly meter: Meter;
  /** Port 0: any free one. Rejects with the platform's error. */
  listen(at: { readonly host: string; readonly port: number }): Promise<ListeningMetricsServer>;
}

export interface ListeningMetricsServer {
  /** The port really bound. */
  readonly port: number;
  close(): Promise<void>;
}
