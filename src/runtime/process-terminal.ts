/** The Terminal door on this process. A reader that went away (`| head`) ends the program quietly, as elsewhere. */
import type { Terminal } from '../ports/terminal.ts';
import { onShutdownSignal } from './shutdown-signals.ts';

const COLUMNS_WHEN_UNKNOWN = 80;

export class ProcessTerminal implements Terminal {
  readonly isInteractive = process.stderr.isTTY;
  readonly columns = process.stderr.columns ?? COLUMNS_WHEN_UNKNOWN;

  constructor() {
    process.stdout.on('error', (error: NodeJS.ErrnoException) => {
      process.exit(error.code === 'EPIPE' ? 0 : 1);
    });
  }

  print(content: string): void {
    process.stdout.write(content);
  }

  pour(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve) => {
      if (process.stdout.write(bytes)) resolve();
      else process.stdout.once('drain', resolve);
    });
  }

  note(text: string): void {
    process.stderr.write(text);
  }

  onStop(fn: () => void): void {
    onShutdownSignal(fn);
  }
}
