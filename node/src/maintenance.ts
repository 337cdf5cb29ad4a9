/** `sierradb verify DIR`, `sierradb repair DIR` and `sierradb cluster recover --unsafe DIR`, for people. */
import { systemClock } from '../../common/clock.ts';
import { systemRandom } from '../../common/random.ts';
import { recoverDirectory } from './cluster/recover.ts';
import { recoverText } from './cluster/recover-text.ts';
import { OpenError } from './storage/errors.ts';
import { RealFileSystem } from './storage/real-file-system.ts';
import { repairDirectory, type RepairResult } from './storage/repair.ts';
import { formatReport, verifyDirectory } from './storage/verify.ts';

/** Exit codes of the program. */
const exitCode = { good: 0, refused: 1, damaged: 2 } as const;

export type MaintenanceCommand = 'verify' | 'repair';

export interface MaintenanceFlags {
  /** The report as JSON instead of text. */
  readonly json: boolean;
  /** Repair: do what was printed. */
  readonly yes: boolean;
}

/**
 * Prints what was found and done; resolves with the exit code: 0 clean or repaired, 1 refused, 2 damaged. `repair` does
 * nothing but say what it would do and lose, unless it was told yes.
 */
export async function maintain(
  command: MaintenanceCommand,
  directory: string,
  flags: MaintenanceFlags,
): Promise<number> {
  return orRefused(() =>
    command === 'verify' ? verify(directory, flags) : repair(directory, flags),
  );
}

export interface RecoverFlags {
  readonly json: boolean;
  /** Do it; else only say what would be done. */
  readonly apply: boolean;
  readonly loseMissing: boolean;
}

/** Prints what is kept and what may be lost; resolves with the exit code: 0 done, or said; 1 refused. */
export function recoverSurvivor(
  directory: string,
  { json, ...options }: RecoverFlags,
): Promise<number> {
  return orRefused(async () => {
    const result = await recoverDirectory(new RealFileSystem(), directory, {
      ...options,
      clock: systemClock,
      random: systemRandom,
    });
    process.stdout.write(json ? asJson(result) : recoverText(result));
    return exitCode.good;
  });
}

async function orRefused(work: () => Promise<number>): Promise<number> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof OpenError) && !isSystemError(error)) throw error;
    process.stderr.write(`sierradb: ${error.message}\n`);
    return exitCode.refused;
  }
}

async function verify(directory: string, { json }: MaintenanceFlags): Promise<number> {
  const report = await verifyDirectory(new RealFileSystem(), directory);
  process.stdout.write(json ? asJson(report) : formatReport(report));
  return report.clean ? exitCode.good : exitCode.damaged;
}

async function repair(directory: string, { json, yes }: MaintenanceFlags): Promise<number> {
  const result = await repairDirectory(new RealFileSystem(), directory, {
    apply: yes,
    clock: systemClock,
    random: systemRandom,
  });
  process.stdout.write(json ? asJson(result) : repairText(result, directory));
  return result.report.clean || result.applied ? exitCode.good : exitCode.damaged;
}

const asJson = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;

function repairText({ report, applied, savedTo }: RepairResult, directory: string): string {
  const text = formatReport(report);
  if (report.clean) return `${text}nothing to repair\n`;
  if (!applied) return `${text}nothing was changed; "sierradb repair ${directory} --yes" does it\n`;
  const saved = savedTo === null ? '' : `; what was there before is in ${savedTo}`;
  return `${text}repaired${saved}\n`;
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'syscall' in error;
}
