/* The board of the C program of docs/reloadable.md: it asks for every access over standard output. */
#define LOADED_OWN_ACCESS
#include "load.h"

#include <stdio.h>
#include <stdlib.h>

/* Where the unit's registers are said to begin. */
#define BASE 0x40000000u

static uint32_t answer(void)
{
    unsigned long value;

    fflush(stdout);
    if (scanf("%lu", &value) != 1)
        exit(2);
    return (uint32_t)value;
}

uint32_t loaded_read(uintptr_t base, uint32_t offset)
{
    printf("read %lu\n", (unsigned long)(base - BASE + offset));
    return answer();
}

void loaded_write(uintptr_t base, uint32_t offset, uint32_t value)
{
    printf("write %lu %lu\n", (unsigned long)(base - BASE + offset), (unsigned long)value);
    answer();
}

void send_weights(const uint32_t *words, uint32_t count)
{
    uint32_t index;

    printf("weights");
    for (index = 0; index < count; index++)
        printf(" %lu", (unsigned long)words[index]);
    printf("\n");
    answer();
}

int main(void)
{
    printf("result %ld\n", (long)load(BASE, &tiny_weights));
    return 0;
}
