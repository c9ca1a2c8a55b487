/*
 * Functions that the kernel's headers define inline, so that no type information
 * has them, and that programs call.
 *
 * As with the kernel's own, what is passed must be readable: a copy that the
 * program made, or the context. bcc does not turn what stands here into probe reads.
 */

/* linux/math64.h */
static inline u64 div_u64(u64 dividend, u32 divisor)
{
	return dividend / divisor;
}

/* linux/math64.h */
static inline u64 div64_u64(u64 dividend, u64 divisor)
{
	return dividend / divisor;
}

/* linux/math64.h */
static inline u64 div64_ul(u64 dividend, unsigned long divisor)
{
	return dividend / divisor;
}

/* linux/genhd.h, linux/blkdev.h */
static inline dev_t disk_devt(struct gendisk *disk)
{
	return MKDEV(disk->major, disk->first_minor);
}

/* linux/skbuff.h */
static inline bool skb_rx_queue_recorded(const struct sk_buff *skb)
{
	return skb->queue_mapping != 0;
}

/* linux/skbuff.h */
static inline u16 skb_get_rx_queue(const struct sk_buff *skb)
{
	return skb->queue_mapping - 1;
}

/* linux/skbuff.h */
static inline u16 skb_get_queue_mapping(const struct sk_buff *skb)
{
	return skb->queue_mapping;
}

/* linux/skbuff.h */
static inline unsigned char *skb_transport_header(const struct sk_buff *skb)
{
	return skb->head + skb->transport_header;
}

/* linux/skbuff.h */
static inline unsigned char *skb_network_header(const struct sk_buff *skb)
{
	return skb->head + skb->network_header;
}

/* linux/skbuff.h */
static inline unsigned char *skb_mac_header(const struct sk_buff *skb)
{
	return skb->head + skb->mac_header;
}

/* linux/ip.h */
static inline struct iphdr *ip_hdr(const struct sk_buff *skb)
{
	return (struct iphdr *)skb_network_header(skb);
}

/* linux/ipv6.h */
static inline struct ipv6hdr *ipv6_hdr(const struct sk_buff *skb)
{
	return (struct ipv6hdr *)skb_network_header(skb);
}

/* linux/tcp.h */
static inline struct tcphdr *tcp_hdr(const struct sk_buff *skb)
{
	return (struct tcphdr *)skb_transport_header(skb);
}

/* linux/udp.h */
static inline struct udphdr *udp_hdr(const struct sk_buff *skb)
{
	return (struct udphdr *)skb_transport_header(skb);
}

/* linux/scatterlist.h: the lowest bits of the link say what it is, 1 a chain, 2 the end */
static inline bool sg_is_chain(struct scatterlist *sg)
{
	return sg->page_link & 1UL;
}

/* linux/scatterlist.h */
static inline bool sg_is_last(struct scatterlist *sg)
{
	return sg->page_link & 2UL;
}

/* linux/scatterlist.h */
static inline struct scatterlist *sg_chain_ptr(struct scatterlist *sg)
{
	return (struct scatterlist *)(sg->page_link & ~3UL);
}
