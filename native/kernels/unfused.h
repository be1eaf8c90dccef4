// For kernels whose results are the same bits at every level: a multiply and an add are not fused, though the file is
// compiled with flags that allow it.
#if defined(__clang__)
#pragma clang fp contract(off)
#else
#pragma GCC optimize("fp-contract=off")
#endif
