export const VERIFY_GUIDE: string = "# How to check this bundle\n";
