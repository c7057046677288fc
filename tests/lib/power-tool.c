/* power-tool LOGS: the power has failed (power-failure.h). Prints how many changes that took back. */
#include "power-failure.h"

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	printf("%u\n", power_fails(argv[1]));
	return 0;
}
