/** `sierradb verify DIR` and `sierradb repair DIR`, for people. */
import { systemClock } from '../../common/clock.ts';
import { systemRandom } from '../../common/random.ts';
import { OpenError } from './storage/errors.ts';
import { RealFileSystem } from './storage/real-file-system.ts';
import { repairDirectory } from './storage/repair.ts';
import { formatReport, verifyDirectory } from './storage/verify.ts';

/** Exit codes of the program. */
const exitCode = { good: 0, refused: 1, damaged: 2 } as const;

export type MaintenanceCommand = 'verify' | 'repair';

/** Prints what was found and done; resolves with the exit code: 0 clean or repaired, 1 refused, 2 damaged. */
export async function maintain(command: MaintenanceCommand, directory: string): Promise<number> {
  try {
    return await (command === 'verify' ? verify(directory) : repair(directory));
  } catch (error) {
    if (!(error instanceof OpenError) && !isSystemError(error)) throw error;
    process.stderr.write(`sierradb: ${error.message}\n`);
    return exitCode.refused;
  }
}

async function verify(directory: string): Promise<number> {
  const report = await verifyDirectory(new RealFileSystem(), directory);
  process.stdout.write(formatReport(report));
  return report.clean ? exitCode.good : exitCode.damaged;
}

async function repair(directory: string): Promise<number> {
  const { report, applied, savedTo } = await repairDirectory(new RealFileSystem(), directory, {
    apply: true,
    clock: systemClock,
    random: systemRandom,
  });
  process.stdout.write(formatReport(report));
  if (!applied) process.stdout.write('nothing to repair\n');
  else
    process.stdout.write(
      `repaired${savedTo === null ? '' : `; what was there before is in ${savedTo}`}\n`,
    );
  return exitCode.good;
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'syscall' in error;
}
