/* Runs a program and prints the most memory that it had, in KiB. A parent as small as this one is
 * needed: what a child inherits from its parent before it becomes the program counts as well. */
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    struct rusage used;
    int status;
    pid_t child = argc > 1 ? vfork() : -1;
    if (child == 0) {
        execvp(argv[1], argv + 1);
        _exit(127);
    }
    if (child < 0 || wait4(child, &status, 0, &used) != child || status)
        return 1;
    fprintf(stderr, "%ld\n", used.ru_maxrss);
    return 0;
}
