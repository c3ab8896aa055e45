/** The disk as one process sees it: the same disk, through the process's lifeline. */
import type { Disk, DiskFile, DiskLock, DiskSpace } from '../ports/disk.ts';
import type { Lifeline } from './lifeline.ts';

export class ProcessDisk implements Disk {
  readonly #disk: Disk;
  readonly #lifeline: Lifeline;

  constructor(disk: Disk, lifeline: Lifeline) {
    this.#disk = disk;
    this.#lifeline = lifeline;
  }

  makeDirectory(path: string): Promise<void> {
    return this.#guard(() => this.#disk.makeDirectory(path));
  }

  list(path: string): Promise<string[]> {
    return this.#guard(() => this.#disk.list(path));
  }

  async open(path: string, mode: 'create' | 'read' | 'update'): Promise<DiskFile> {
    const file = await this.#guard(() => this.#disk.open(path, mode));
    return new ProcessFile(file, this.#lifeline);
  }

  rename(from: string, to: string): Promise<void> {
    return this.#guard(() => this.#disk.rename(from, to));
  }

  remove(path: string): Promise<void> {
    return this.#guard(() => this.#disk.remove(path));
  }

  syncDirectory(path: string): Promise<void> {
    return this.#guard(() => this.#disk.syncDirectory(path));
  }

  space(path: string): Promise<DiskSpace> {
    return this.#guard(() => this.#disk.space(path));
  }

  async lock(directory: string): Promise<DiskLock> {
    const lock = await this.#guard(() => this.#disk.lock(directory));
    this.#lifeline.count('directory lock', 1);
    return {
      release: async () => {
        await this.#guard(() => lock.release());
        this.#lifeline.count('directory lock', -1);
      },
    };
  }

  #guard<T>(operation: () => Promise<T>): Promise<T> {
    return this.#lifeline.guard('disk operation', operation);
  }
}

class ProcessFile implements DiskFile {
  readonly #file: DiskFile;
  readonly #lifeline: Lifeline;

  constructor(file: DiskFile, lifeline: Lifeline) {
    this.#file = file;
    this.#lifeline = lifeline;
    lifeline.count('open file', 1);
  }

  read(position: number, length: number): Promise<Buffer> {
    return this.#guard(() => this.#file.read(position, length));
  }

  write(position: number, chunks: readonly Uint8Array[]): Promise<void> {
    return this.#guard(() => this.#file.write(position, chunks));
  }

  writeDurably(position: number, chunks: readonly Uint8Array[]): Promise<void> {
    return this.#guard(() => this.#file.writeDurably(position, chunks));
  }

  sync(): Promise<void> {
    return this.#guard(() => this.#file.sync());
  }

  truncate(length: number): Promise<void> {
    return this.#guard(() => this.#file.truncate(length));
  }

  size(): Promise<number> {
    return this.#guard(() => this.#file.size());
  }

  async close(): Promise<void> {
    await this.#guard(() => this.#file.close());
    this.#lifeline.count('open file', -1);
  }

  #guard<T>(operation: () => Promise<T>): Promise<T> {
    return this.#lifeline.guard('disk operation', operation);
  }
}
