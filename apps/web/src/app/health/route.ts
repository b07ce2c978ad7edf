/** As the job API has it, where this app serves that. */
export { GET } from '../api/[...path]/route.ts';
